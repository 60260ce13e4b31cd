"""Describe a corpus: its utterances, who speaks them, and the recipe that lists them."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from mrlspk.data.audio.source import AudioSource, Channel, take_channel
from mrlspk.data.left_out import LeftOut
from mrlspk.data.problems import Problem


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus.

    Attributes:
        utterance_id: Unique in the corpus; of a file, its path relative to the corpus, with forward slashes.
        speaker_id: Who speaks.
        session_id: Utterances of one speaker with the same id were recorded in one session.
        source: Where the audio is.
    """

    utterance_id: str
    speaker_id: str
    session_id: str
    source: AudioSource


@dataclass(frozen=True)
class Manifest:
    """The utterances of a corpus in the order of their ids.

    Attributes:
        root: The corpus, as it was named: a folder, or whatever file a recipe reads.
        utterances: Each id once.
        left_out: What is not used of the corpus; it is no part of the fingerprint.
    """

    root: Path
    utterances: tuple[Utterance, ...]
    left_out: tuple[LeftOut, ...] = ()

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The speaker ids, sorted."""
        return tuple(sorted({utterance.speaker_id for utterance in self.utterances}))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the utterance ids: the same for the same files, wherever they are."""
        return hashlib.sha256("\n".join(utterance.utterance_id for utterance in self.utterances).encode()).hexdigest()

    def by_speaker(self) -> dict[str, tuple[Utterance, ...]]:
        """Return the utterances of each speaker, speakers and utterances in order."""
        groups: dict[str, list[Utterance]] = {speaker: [] for speaker in self.speakers}
        for utterance in self.utterances:
            groups[utterance.speaker_id].append(utterance)
        return {speaker: tuple(group) for speaker, group in groups.items()}

    def only_speakers(self, speakers: Collection[str]) -> "Manifest":
        """Return the utterances of ``speakers``."""
        wanted = frozenset(speakers)
        return self._where(lambda utterance: utterance.speaker_id in wanted)

    def without_speakers(self, speakers: Collection[str]) -> "Manifest":
        """Return the utterances of all other speakers."""
        unwanted = frozenset(speakers)
        return self._where(lambda utterance: utterance.speaker_id not in unwanted)

    def at_channel(self, channel: Channel) -> "Manifest":
        """Return the corpus with one channel of every recording, or for ``mix`` the corpus as it is."""
        sources = ((each, take_channel(each.source, channel)) for each in self.utterances)
        return replace(self, utterances=tuple(replace(each, source=source) for each, source in sources))

    def _where(self, keep: Callable[[Utterance], bool]) -> "Manifest":
        return replace(self, utterances=tuple(filter(keep, self.utterances)))


@dataclass(frozen=True)
class CorpusListing:
    """The utterances that a recipe finds in a corpus.

    Attributes:
        utterances: In any order.
        left_out: Paths of audio whose speaker is unknown, relative to the corpus; they are reported and not used.
        skipped: Other audio and links that are not used.
        problems: Of the corpus as a whole, those of ``skipped`` included; with an error it is not used.
    """

    utterances: tuple[Utterance, ...]
    left_out: tuple[str, ...] = ()
    skipped: tuple[LeftOut, ...] = ()
    problems: tuple[Problem, ...] = ()

    def all_left_out(self) -> tuple[LeftOut, ...]:
        """Return all that is not used, and why."""
        return (*(LeftOut(path, "layout") for path in self.left_out), *self.skipped)


class CorpusRecipe(Protocol):
    """Read corpora of one layout; `mrlspk.data.corpora.recipe_registry.register_recipe` makes it known."""

    @property
    def name(self) -> str:
        """The name for ``--corpus``."""
        ...

    @property
    def layout(self) -> str:
        """The layout in a few words, for messages: ``speaker/session/file.wav``."""
        ...

    def recognises(self, path: Path) -> bool:
        """Return whether a corpus has this layout; a cheap look, at the suffix or the first line."""
        ...

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the utterances of a corpus without opening audio.

        Raises:
            DataError: If the corpus cannot be read or holds no utterance.
        """
        ...
