"""Rename and remove voices of an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mrlspk.errors import UsageError
from mrlspk.index.enrolment.sources import check_voice_name
from mrlspk.index.kept_voices import KeptVoices
from mrlspk.index.store.store import VoiceStore

NAMED = 5  # voices that a question names


@dataclass(frozen=True)
class RemovedVoices:
    """Voices that were removed.

    Attributes:
        names: Of the voices.
        voices: How many are left.
    """

    names: tuple[str, ...]
    voices: int


def rename_voice(folder: Path, name: str, new: str) -> str:
    """Give a voice another name, and return it without white space around it.

    Raises:
        UsageError: If there is no such voice, the new name is taken, or no voice can have it.
        MrlspkError: If the folder is no index.
    """
    checked = check_voice_name(new)
    with VoiceStore.open(folder) as store, store.writing() as writer:
        writer.rename(name, checked)
    return checked


def find_names(folder: Path, where: str) -> tuple[str, ...]:
    """Return the names of the voices that a filter holds for.

    Raises:
        UsageError: If the filter cannot be parsed.
        MrlspkError: If the folder is no index.
    """
    with KeptVoices(VoiceStore.open(folder)) as voices:
        return tuple(voice.name for voice in voices.voices(where))


def remove_voices(folder: Path, names: Sequence[str]) -> RemovedVoices:
    """Remove voices with their recordings: all of them, or none if one is unknown.

    Raises:
        UsageError: If a name is unknown.
        MrlspkError: If the folder is no index.
    """
    with KeptVoices(VoiceStore.open(folder)) as voices:
        voices.remove(names)
        return RemovedVoices(tuple(dict.fromkeys(names)), len(voices))


def refuse_unasked(names: Sequence[str]) -> UsageError:
    """Return the error that a filter chose voices, and nobody agreed to their removal."""
    named = ", ".join(islice(names, NAMED)) + (", …" if len(names) > NAMED else "")
    voices = "1 voice" if len(names) == 1 else f"{len(names):,} voices"
    return UsageError(f"{voices} would be removed: {named}", fix="Give `yes` to remove them.")
