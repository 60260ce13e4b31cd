"""Find the key that a user meant by an unknown one, also by a key of redimnet-mrl."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from mrlspk.config.keys import known_keys, section_at
from mrlspk.config.migration_table import old_keys

LEAST_LIKENESS = 0.7
SECTION_OF_PREDECESSOR = "advanced"
FEWEST_OLD_KEYS = 3  # in a file of redimnet-mrl without that section
SHORT_NAMES = {"lr": "training.learning_rate", "dims": "model.matryoshka_dims"}


def did_you_mean(nearest: str | None) -> str:
    """Return the end of a line about an unknown name; empty without a similar name."""
    return f"; did you mean {nearest}?" if nearest else ""


def key_hint(keys: tuple[str, ...]) -> str:
    """Return what follows on "unknown key": the key that was meant, or what became of it; empty if that is unclear."""
    section = section_at(keys[:-1])
    siblings = {name: ".".join((*keys[:-1], name)) for name in section.model_fields} if section else {}
    if found := _nearest(keys[-1], siblings):
        return did_you_mean(found)
    if (row := old_keys().get(".".join(keys))) and row.new is None:
        return f", of redimnet-mrl. {row.remark.replace('`', '')}"
    found = row.new if row else _nearest(keys[-1], _keys_by_name()) or SHORT_NAMES.get(keys[-1])
    return did_you_mean(found)


def is_of_predecessor(unknown: Sequence[tuple[str, ...]]) -> bool:
    """Return whether unknown keys of one file show that it was written for redimnet-mrl."""
    known = {".".join(keys) for keys in unknown} & (old_keys().keys() | {SECTION_OF_PREDECESSOR})
    return SECTION_OF_PREDECESSOR in known or len(known) >= FEWEST_OLD_KEYS


def _nearest(name: str, keys_by_name: Mapping[str, str]) -> str | None:
    """Return the key with a similar name, or else the only one with these words at its beginning or end."""
    fitting = [each for each in keys_by_name if _keeps_words(name, each)]
    similar = difflib.get_close_matches(name, fitting, 1, LEAST_LIKENESS)
    longer = [each for each in fitting if each.startswith(f"{name}_") or each.endswith(f"_{name}")]
    found = similar or (longer if len(longer) == 1 else [])
    return keys_by_name[found[0]] if found else None


def _keeps_words(name: str, candidate: str) -> bool:
    """Return whether a candidate has all words of a name that keys have: ``test`` is not a misspelt ``train``."""
    words = candidate.split("_")
    return all(_is_among(word, words) for word in name.split("_") if word in _words())


def _is_among(word: str, words: Iterable[str]) -> bool:
    return any(word.rstrip("s") == other.rstrip("s") for other in words)


@cache
def _keys_by_name() -> dict[str, str]:
    """Return every key by its last part; the first key of a name wins."""
    return {key.rsplit(".", 1)[-1]: key for key in reversed(list(known_keys()))}


@cache
def _words() -> frozenset[str]:
    return frozenset(word for name in _keys_by_name() for word in name.split("_"))
