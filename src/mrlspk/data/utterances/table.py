"""Hold the utterances of a corpus in columns."""

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from operator import index as as_index
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource, Channel
from mrlspk.data.slow_counts import SlowCount
from mrlspk.data.utterances.packed_text import CHUNK, PackedText, TextPacker
from mrlspk.data.utterances.sources import SourcePacker, Sources
from mrlspk.data.utterances.utterance import Utterance


class Utterances(Sequence[Utterance]):
    """Utterances that are made when they are asked for; they equal a tuple of the same."""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Utterances | tuple):
            return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, index: int) -> Utterance: ...

    @overload
    def __getitem__(self, index: slice) -> "Utterances": ...

    def __getitem__(self, index: int | slice) -> "Utterance | Utterances":
        if isinstance(index, slice):
            return self._part(np.arange(len(self))[index])
        place = as_index(index)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f"utterance {index} of {len(self)}")
        return self._at(place)

    @abstractmethod
    def _at(self, place: int) -> Utterance: ...

    @abstractmethod
    def _part(self, places: NDArray[np.int64]) -> "Utterances": ...


class UtteranceTable(Utterances):
    """The utterances of a corpus; one takes its id and some fifty bytes more.

    Nothing in it is an object for each utterance, so that processes that are forked share its memory.

    Attributes:
        ids: Utterance ids, in any order.
        speakers: Speaker ids, sorted.
        speaker_index: Of each utterance, into ``speakers``.
        session_index: Utterances of one speaker with the same number were recorded in one session.
        seconds: Lengths, NaN where the corpus does not say; None: it says none.
        weights: How often each is used in an epoch of training; None: once.
    """

    def __init__(
        self,
        ids: PackedText,
        speakers: Sequence[str],
        speaker_index: NDArray[np.int64],
        sessions: PackedText,
        session_index: NDArray[np.int64],
        sources: Sources,
        seconds: NDArray[np.float64] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.ids, self.speakers, self.speaker_index = ids, tuple(speakers), speaker_index
        self.session_index, self.seconds, self.weights = session_index, seconds, weights
        self._sessions, self._sources = sessions, sources

    @classmethod
    def of(cls, utterances: Iterable[Utterance]) -> "UtteranceTable":
        """Return the table of utterances in their order, which are read once; a table as it is."""
        if isinstance(utterances, UtteranceTable):
            return utterances
        packer, slow = _Packer(), SlowCount("utterances listed")
        for number, utterance in enumerate(utterances):
            packer.append(utterance)
            if not number % CHUNK:
                slow.reached(number)
        return packer.packed()

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: "UtteranceTable") -> "UtteranceTable":
        return UtteranceTable.of(chain(self, other))

    def __iter__(self) -> Iterator[Utterance]:
        return (self._row(place, utterance_id) for place, utterance_id in enumerate(self.ids))

    def source(self, place: int) -> AudioSource:
        """Return the source of the utterance at a place."""
        return self._sources.at(place, self.ids[place])

    def sources(self) -> Iterator[AudioSource]:
        """Yield the source of every utterance, in order."""
        return map(self._sources.at, range(len(self)), self.ids)

    def archives(self) -> NDArray[np.object_]:
        """Return path or URL of the archive of every utterance, (len,); None where there is none."""
        return self._sources.archives()

    def speaker_ids(self) -> PackedText:
        """Return the speaker id of every utterance, in order."""
        return PackedText.of(self.speakers).take(self.speaker_index)

    def session_ids(self) -> PackedText:
        """Return the session id of every utterance, in order."""
        return self._sessions.take(self.session_index)

    def take(self, places: NDArray[np.int64]) -> "UtteranceTable":
        """Return the utterances at some places, in their order."""
        present, speaker_index = np.unique(self.speaker_index[places], return_inverse=True)
        return UtteranceTable(
            self.ids.take(places),
            [self.speakers[index] for index in present.tolist()],
            speaker_index.astype(np.int64, copy=False),
            self._sessions,
            self.session_index[places],
            self._sources.take(places),
            None if self.seconds is None else self.seconds[places],
            None if self.weights is None else self.weights[places],
        )

    def where(self, keep: NDArray[np.bool_]) -> "UtteranceTable":
        """Return the utterances where ``keep`` (len,) is true."""
        return self if keep.all() else self.take(np.flatnonzero(keep))

    def in_order(self) -> "UtteranceTable":
        """Return the utterances in the order of their ids."""
        return self if self.ids.first_disorder() is None else self.take(self.ids.order())

    def at_channel(self, channel: Channel) -> "UtteranceTable":
        """Return one channel of every utterance, or for ``mix`` the table as it is."""
        if channel == "mix":
            return self
        return self._with(sources=self._sources.at_channel(channel))

    def weighted(self, weights: NDArray[np.float64]) -> "UtteranceTable":
        """Return the utterances with other weights (len,)."""
        return self._with(weights=weights)

    def by_speaker(self) -> "SpeakerGroups":
        """Return the utterances of each speaker, speakers in order."""
        return SpeakerGroups(self)

    def _with(self, *, sources: Sources | None = None, weights: NDArray[np.float64] | None = None) -> "UtteranceTable":
        return UtteranceTable(
            self.ids,
            self.speakers,
            self.speaker_index,
            self._sessions,
            self.session_index,
            sources or self._sources,
            self.seconds,
            self.weights if weights is None else weights,
        )

    def _at(self, place: int) -> Utterance:
        return self._row(place, self.ids[place])

    def _part(self, places: NDArray[np.int64]) -> "Utterances":
        return self.take(places)

    def _row(self, place: int, utterance_id: str) -> Utterance:
        seconds = np.nan if self.seconds is None else float(self.seconds[place])
        return Utterance(
            utterance_id,
            self.speakers[self.speaker_index[place]],
            self._sessions[int(self.session_index[place])],
            self._sources.at(place, utterance_id),
            None if np.isnan(seconds) else seconds,
            1.0 if self.weights is None else float(self.weights[place]),
        )


class SpeakerGroups(Mapping[str, Utterances]):
    """The utterances of each speaker of a table, by speaker id; speakers and utterances are in order.

    Attributes:
        places: Of all utterances in the table, speaker by speaker.
        bounds: Where the utterances of each speaker begin in ``places``, and the end of the last, (speakers + 1,).
    """

    def __init__(self, table: UtteranceTable) -> None:
        self._table = table
        self.places = np.argsort(table.speaker_index, kind="stable")
        counts = np.bincount(table.speaker_index, minlength=len(table.speakers))
        self.bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {speaker: number for number, speaker in enumerate(self._table.speakers)}

    def __len__(self) -> int:
        return len(self._table.speakers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.speakers)

    def __getitem__(self, speaker: str) -> Utterances:
        return _Part(self._table, self.places_of(self._numbers[speaker]))

    def places_of(self, speaker_index: int) -> NDArray[np.int64]:
        """Return the places of the utterances of a speaker in the table."""
        return self.places[self.bounds[speaker_index] : self.bounds[speaker_index + 1]]

    def sizes(self) -> NDArray[np.int64]:
        """Return the number of utterances of each speaker, (speakers,)."""
        return np.diff(self.bounds)


class _Part(Utterances):
    """Some utterances of a table, by their places."""

    def __init__(self, table: UtteranceTable, places: NDArray[np.int64]) -> None:
        self._table, self._places = table, places

    def __len__(self) -> int:
        return len(self._places)

    def _at(self, place: int) -> Utterance:
        return self._table[int(self._places[place])]

    def _part(self, places: NDArray[np.int64]) -> Utterances:
        return _Part(self._table, self._places[places])


class _Packer:
    """Pack utterances one by one."""

    def __init__(self) -> None:
        self._ids, self._sources = TextPacker(), SourcePacker()
        self._speakers, self._speaker_numbers = dict[str, int](), array("q")
        self._sessions, self._session_numbers, self._session_texts = dict[str, int](), array("q"), TextPacker()
        self._seconds, self._weights = array("d"), array("d")

    def append(self, utterance: Utterance) -> None:
        id_ = utterance.utterance_id
        self._ids.append(id_)
        self._speaker_numbers.append(self._speakers.setdefault(utterance.speaker_id, len(self._speakers)))
        session = self._sessions.setdefault(utterance.session_id, len(self._sessions))
        if session == len(self._session_texts):
            self._session_texts.append(utterance.session_id)
        self._session_numbers.append(session)
        self._sources.append(utterance.source, id_)
        self._seconds.append(np.nan if utterance.seconds is None else utterance.seconds)
        self._weights.append(utterance.weight)

    def packed(self) -> UtteranceTable:
        speakers = sorted(self._speakers)
        ranks = np.empty(len(speakers), np.int64)
        ranks[[self._speakers[speaker] for speaker in speakers]] = np.arange(len(speakers))
        seconds, weights = np.array(self._seconds), np.array(self._weights)
        return UtteranceTable(
            self._ids.packed(),
            speakers,
            ranks[np.array(self._speaker_numbers, np.int64)],
            self._session_texts.packed(),
            np.array(self._session_numbers, np.int64),
            self._sources.packed(),
            None if np.isnan(seconds).all() else seconds,
            None if (weights == 1).all() else weights,
        )
