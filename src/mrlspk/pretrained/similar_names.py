"""Suggest names of models that are similar to a mistyped one."""

import difflib
import re
from collections.abc import Iterable, Sequence

MOST = 4


def similar_names(typed: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return up to four names that were probably meant.

    These are the names that have every word of ``typed``, such as ``b2``, else those that contain it; and those spelt
    like it.
    """
    by_lower = {name.lower(): name for name in names}
    text = typed.lower()
    having_words = [name for name in by_lower if _words(text) and _words(text) <= _words(name)]
    containing = [name for name in by_lower if len(text) > 2 and text in name]
    found = having_words or containing
    near = difflib.get_close_matches(text, by_lower, MOST, 0.9 if found else 0.7)
    return tuple(by_lower[name] for name in dict.fromkeys([*found[: MOST - 1 if near else MOST], *near]))[:MOST]


def did_you_mean(names: Sequence[object]) -> str:
    """Return the question whether one of ``names`` was meant; empty without names."""
    *first, last = map(str, names) if names else [""]
    return f"Did you mean {' or '.join([', '.join(first), last] if first else [last])}? " if last else ""


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", name))
