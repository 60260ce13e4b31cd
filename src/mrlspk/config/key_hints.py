"""Find the key that a user meant by an unknown one, also by a key of redimnet-mrl."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from mrlspk.config.keys import known_keys, section_at
from mrlspk.config.migration_table import old_keys

LEAST_LIKENESS = 0.7
MISSPELT_LIKENESS = 0.85  # of a key in another section that goes before a key of this one
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
    if row := old_keys().get(".".join(keys)):
        return f", of redimnet-mrl: now {row.new}" if row.new else f", of redimnet-mrl. {row.remark.replace('`', '')}"
    misspelt = _nearest(keys[-1], _keys_by_name(), MISSPELT_LIKENESS)
    found = misspelt or _of_same_section(keys) or _nearest(keys[-1], _keys_by_name()) or SHORT_NAMES.get(keys[-1])
    return did_you_mean(found)


def may_be_of_predecessor(unknown: Sequence[tuple[str, ...]]) -> bool:
    """Return whether one of the unknown keys of a file is a key of redimnet-mrl."""
    return any(".".join(keys) in old_keys() for keys in unknown)


def is_of_predecessor(unknown: Sequence[tuple[str, ...]]) -> bool:
    """Return whether unknown keys of one file show that it was written for redimnet-mrl."""
    known = {".".join(keys) for keys in unknown} & (old_keys().keys() | {SECTION_OF_PREDECESSOR})
    return SECTION_OF_PREDECESSOR in known or len(known) >= FEWEST_OLD_KEYS


def _of_same_section(keys: tuple[str, ...]) -> str | None:
    """Return the key of today or of redimnet-mrl, by its new name, that is in the same section and begins alike."""
    section, begins = ".".join(keys[:-1]), keys[-1].partition("_")[0]
    table = dict.fromkeys(known_keys()) | {old: row.new for old, row in old_keys().items() if row.new}
    alike = [key for key in table if section and key.startswith(f"{section}.{begins}_")]
    found = difflib.get_close_matches(".".join(keys), alike, 1, LEAST_LIKENESS)
    return table[found[0]] or found[0] if found else None


def _nearest(name: str, keys_by_name: Mapping[str, str], likeness: float = LEAST_LIKENESS) -> str | None:
    """Return the key with a similar name, or else the only one with these words at its beginning or end."""
    fitting = [each for each in keys_by_name if _keeps_words(name, each)]
    similar = difflib.get_close_matches(name, fitting, 1, likeness)
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
