"""Stream the rows of a vector file by voice, in bounded memory."""

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.enrolment.mean_vectors import unit_vectors
from mrlspk.index.enrolment.refusals import Remark
from mrlspk.vectors.table import Block, RecordingFacts

VALUES_AT_ONCE = 1 << 26  # held at a time: 256 MiB of float32

type Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VectorsOfVoice:
    """All rows of one voice in a vector file.

    Attributes:
        name: Of the voice.
        ids: Of the rows.
        vectors: (rows, embed_dim) at unit length.
        rows: Places of the rows among those that are kept.
    """

    name: str
    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    rows: Rows


class HeardRows:
    """What a file says of its rows, in 24 bytes each."""

    def __init__(self) -> None:
        self._seconds, self._speech_seconds = array("d"), array("d")
        self._warnings: list[tuple[str, ...]] = []
        self._alike: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(self, heard: RecordingFacts) -> None:
        """Add what is said of the next row."""
        self._seconds.append(heard.seconds)
        self._speech_seconds.append(math.nan if heard.speech_seconds is None else heard.speech_seconds)
        self._warnings.append(self._alike.setdefault(heard.warnings, heard.warnings))

    def __getitem__(self, row: int) -> RecordingFacts:
        """Return what is said of a row."""
        speech = self._speech_seconds[row]
        return RecordingFacts(self._seconds[row], None if math.isnan(speech) else speech, self._warnings[row])


@dataclass(frozen=True, eq=False)
class VectorRows:
    """The rows of a vector file by voice.

    Attributes:
        blocks: Reads the vector file from its beginning.
        kept: (rows of the file,) whether a row is kept.
        names: Of the voices, in the order in which the file first has them.
        voices: (rows kept,) place in ``names`` of the voice of each row.
        facts: What the file says of each row that is kept; None if it says nothing.
        refused: The other rows.
    """

    blocks: Callable[[], Iterator[Block]]
    kept: NDArray[np.bool_]
    names: tuple[str, ...]
    voices: Rows
    facts: HeardRows | None = None
    refused: tuple[Remark, ...] = ()

    def groups(self, embed_dim: int) -> Iterator[VectorsOfVoice]:
        """Yield the voices with vectors cut to ``embed_dim``, in the order of ``names``.

        Rows of a voice that follow each other are read once. If voices are mixed, the file is read once for every
        256 MiB of its vectors.
        """
        if not len(self.voices):
            return
        if bool((np.diff(self.voices) >= 0).all()):
            yield from self._runs(embed_dim)
            return
        ends = np.cumsum(np.bincount(self.voices)) * embed_dim // VALUES_AT_ONCE
        for part in np.unique(ends):
            yield from self._part(np.flatnonzero(ends == part), embed_dim)

    def _runs(self, embed_dim: int) -> Iterator[VectorsOfVoice]:
        """Yield voices whose rows follow each other, holding one block and one voice."""
        ids: list[str] = []
        parts: list[NDArray[np.float32]] = []
        first, voice = 0, 0
        for block_ids, vectors in self._blocks():
            unit, of_rows = unit_vectors(vectors[:, :embed_dim]), self.voices[first : first + len(vectors)]
            starts = np.flatnonzero(np.diff(of_rows, prepend=-1))
            for start, end in zip(starts, [*starts[1:], len(unit)], strict=True):
                if ids and of_rows[start] != voice:
                    yield self._voice(voice, ids, np.concatenate(parts), first + int(start))
                    ids, parts = [], []
                voice = int(of_rows[start])
                ids += block_ids[start:end]
                parts.append(unit[start:end])
            first += len(unit)
        yield self._voice(voice, ids, np.concatenate(parts), first)

    def _voice(self, voice: int, ids: list[str], vectors: NDArray[np.float32], end: int) -> VectorsOfVoice:
        return VectorsOfVoice(self.names[voice], tuple(ids), vectors, np.arange(end - len(ids), end))

    def _part(self, wanted: Rows, embed_dim: int) -> Iterator[VectorsOfVoice]:
        """Yield the voices at some successive places in ``names``."""
        is_wanted = (self.voices >= wanted[0]) & (self.voices <= wanted[-1])
        ids: list[str] = []
        parts: list[NDArray[np.float32]] = []
        first = 0
        for block_ids, vectors in self._blocks():
            places = np.flatnonzero(is_wanted[first : first + len(vectors)])
            ids += [block_ids[place] for place in places]
            parts.append(unit_vectors(vectors[places, :embed_dim]))
            first += len(vectors)
        unit, rows = np.concatenate(parts), np.flatnonzero(is_wanted)
        order = np.argsort(self.voices[rows], kind="stable")
        starts = np.searchsorted(self.voices[rows][order], wanted)
        for voice, places in zip(wanted, np.split(order, starts[1:]), strict=True):
            yield VectorsOfVoice(self.names[voice], tuple(ids[place] for place in places), unit[places], rows[places])

    def _blocks(self) -> Iterator[Block]:
        """Yield the rows that are kept."""
        first = 0
        for ids, vectors in self.blocks():
            kept = self.kept[first : first + len(ids)]
            first += len(ids)
            yield (ids, vectors) if kept.all() else (tuple(compress(ids, kept)), vectors[kept])
