"""List the voices of an index and show one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import ALL_VOICES, Voice
from mrlspk.index.where import Condition, parse_filter

LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Listing:
    """The voices of an index.

    Attributes:
        count: Of all voices of the index.
        voices: Those that fit the filter, in the order of their enrolment; to be read once.
    """

    count: int
    voices: Iterator[Voice]


@dataclass(frozen=True)
class ShownVoice:
    """A voice.

    Attributes:
        voice: With its recordings.
        profiles: Vectors that a search compares.
    """

    voice: Voice
    profiles: int


@contextmanager
def list_voices(folder: Path, *, where: str | None = None) -> Iterator[Listing]:
    """Yield the voices as they are now; a change made meanwhile does not show.

    Args:
        folder: Of the index.
        where: Filter on names and metadata.

    Raises:
        UsageError: If the filter cannot be parsed.
        MrlspkError: If the folder is no index.
    """
    condition = ALL_VOICES if where is None else parse_filter(where)
    with VoiceStore.open(folder) as store, store.reading() as snapshot:
        yield Listing(snapshot.n_voices, snapshot.voices(condition))


def show_voice(folder: Path, name: str) -> ShownVoice:
    """Return a voice with its recordings.

    Raises:
        UsageError: If no voice has this name.
        MrlspkError: If the folder is no index.
    """
    with VoiceStore.open(folder) as store, store.reading() as snapshot:
        voice = snapshot.voice(name)
        return ShownVoice(voice, len(snapshot.slots_of([voice.id])))


def names_beginning(folder: Path, begin: str, *, most: int) -> list[str]:
    """Return the first names of voices that begin as given.

    Raises:
        MrlspkError: If the folder is no index.
    """
    condition = Condition("name >= ? AND name < ?", (begin, f"{begin}{LAST_CHARACTER}"))
    with VoiceStore.open(folder) as store, store.reading() as snapshot:
        return [voice.name for voice in islice(snapshot.voices(condition), most)]
