"""Describe a corpus: its utterances, who speaks them, and the recipe that lists them."""

import hashlib
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import Channel
from mrlspk.data.left_out import LeftOut
from mrlspk.data.problems import Problem
from mrlspk.data.utterance_ids import check_name
from mrlspk.data.utterances.table import SpeakerGroups, UtteranceTable
from mrlspk.data.utterances.utterance import Utterance

__all__ = ["CorpusListing", "CorpusRecipe", "Manifest", "Utterance"]


@dataclass(frozen=True, init=False)
class Manifest:
    """The utterances of a corpus, mostly in the order of their ids.

    Attributes:
        root: The corpus, as it was named: a folder, or whatever file a recipe reads.
        utterances: Each id once.
        left_out: What is not used of the corpus; it is no part of the fingerprint.
    """

    root: Path
    utterances: UtteranceTable
    left_out: tuple[LeftOut, ...] = ()

    def __init__(self, root: Path, utterances: Iterable[Utterance], left_out: tuple[LeftOut, ...] = ()) -> None:
        for name, value in (("root", root), ("utterances", UtteranceTable.of(utterances)), ("left_out", left_out)):
            object.__setattr__(self, name, value)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speaker ids, sorted."""
        return self.utterances.speakers

    @property
    def speaker_index(self) -> NDArray[np.int64]:
        """The speaker of each utterance, as an index into ``speakers``, (utterances,)."""
        return self.utterances.speaker_index

    @property
    def utterance_ids(self) -> Sequence[str]:
        """The id of each utterance."""
        return self.utterances.ids

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the utterance ids: the same for the same files, wherever they are."""
        return hashlib.sha256(self.utterances.ids.lines()).hexdigest()

    def by_speaker(self) -> SpeakerGroups:
        """Return the utterances of each speaker, speakers and utterances in order."""
        return self.utterances.by_speaker()

    def only_speakers(self, speakers: Collection[str]) -> "Manifest":
        """Return the utterances of ``speakers``."""
        return self._where(self._is_of(speakers))

    def without_speakers(self, speakers: Collection[str]) -> "Manifest":
        """Return the utterances of all other speakers."""
        return self._where(~self._is_of(speakers))

    def only_utterances(self, utterance_ids: Container[str]) -> "Manifest":
        """Return the utterances with these ids."""
        return self._where(self._is_named(utterance_ids))

    def without_utterances(self, utterance_ids: Container[str]) -> "Manifest":
        """Return the utterances with other ids."""
        return self._where(~self._is_named(utterance_ids))

    def at_channel(self, channel: Channel) -> "Manifest":
        """Return the corpus with one channel of every recording, or for ``mix`` the corpus as it is."""
        return replace(self, utterances=self.utterances.at_channel(channel))

    def check_names(self) -> None:
        """Refuse an utterance that a trial list cannot name.

        Raises:
            DataError: If there is one.
        """
        for utterance_id in self.utterance_ids:
            check_name(utterance_id, self.root)

    def _is_of(self, speakers: Collection[str]) -> NDArray[np.bool_]:
        wanted = frozenset(speakers)
        found = np.fromiter((speaker in wanted for speaker in self.speakers), bool, len(self.speakers))
        return found[self.speaker_index]

    def _is_named(self, utterance_ids: Container[str]) -> NDArray[np.bool_]:
        ids = self.utterance_ids
        return np.fromiter((utterance_id in utterance_ids for utterance_id in ids), bool, len(ids))

    def _where(self, keep: NDArray[np.bool_]) -> "Manifest":
        return replace(self, utterances=self.utterances.where(keep))


@dataclass(frozen=True, init=False)
class CorpusListing:
    """The utterances that a recipe finds in a corpus.

    A recipe best yields the utterances one by one: they are kept in columns, and a million objects are never there.

    Attributes:
        utterances: In any order.
        left_out: Paths of audio whose speaker is unknown, relative to the corpus; they are reported and not used.
        skipped: Other audio and links that are not used.
        problems: Of the corpus as a whole, those of ``skipped`` included; with an error it is not used.
    """

    utterances: UtteranceTable
    left_out: tuple[str, ...] = ()
    skipped: tuple[LeftOut, ...] = ()
    problems: tuple[Problem, ...] = ()

    def __init__(
        self,
        utterances: Iterable[Utterance],
        left_out: tuple[str, ...] = (),
        skipped: tuple[LeftOut, ...] = (),
        problems: tuple[Problem, ...] = (),
    ) -> None:
        values = UtteranceTable.of(utterances), left_out, skipped, problems
        for each, value in zip(fields(self), values, strict=True):
            object.__setattr__(self, each.name, value)

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
