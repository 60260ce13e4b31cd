"""Stream the rows of a vector file by voice, in bounded memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.index.enrolment.mean_vectors import unit_vectors
from mrlspk.index.enrolment.sources import check_voice_name
from mrlspk.vectors.checks import refuse_unusable, usable_rows
from mrlspk.vectors.speakers import read_speakers, require_speakers
from mrlspk.vectors.table import Block, VectorFile, VectorTable

VALUES_AT_ONCE = 1 << 26  # held at a time: 256 MiB of float32
SAME_MODEL = "Give vectors of the index's model."

type Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VectorsOfVoice:
    """All rows of one voice in a vector file.

    Attributes:
        name: Of the voice.
        ids: Of the rows.
        vectors: (rows, embed_dim) at unit length.
    """

    name: str
    ids: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class VectorRows:
    """The rows of a vector file by voice; `read_rows` makes it.

    Attributes:
        file: The vector file.
        names: Of the voices, in the order in which the file first has them.
        voices: (rows,) place in ``names`` of the voice of each row.
    """

    file: VectorFile
    names: tuple[str, ...]
    voices: Rows

    def groups(self, embed_dim: int) -> Iterator[VectorsOfVoice]:
        """Yield the voices with vectors cut to ``embed_dim``, in the order of ``names``.

        Rows of a voice that follow each other are read once. If voices are mixed, the file is read once for every
        256 MiB of its vectors.
        """
        if len(self.voices) < 2 or bool((np.diff(self.voices) >= 0).all()):
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
        for block_ids, block in self.file.blocks():
            rows = unit_vectors(block[:, :embed_dim])
            of_rows = self.voices[first : first + len(rows)]
            starts = np.flatnonzero(np.diff(of_rows, prepend=-1))
            for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
                if ids and of_rows[start] != voice:
                    yield VectorsOfVoice(self.names[voice], tuple(ids), np.concatenate(parts))
                    ids, parts = [], []
                voice = int(of_rows[start])
                ids += block_ids[start:end]
                parts.append(rows[start:end])
            first += len(rows)
        yield VectorsOfVoice(self.names[voice], tuple(ids), np.concatenate(parts))

    def _part(self, wanted: Rows, embed_dim: int) -> Iterator[VectorsOfVoice]:
        """Yield the voices at some successive places in ``names``."""
        ids: list[str] = []
        parts: list[NDArray[np.float32]] = []
        first = 0
        for block_ids, rows in self.file.blocks():
            of_rows = self.voices[first : first + len(rows)]
            places = np.flatnonzero((of_rows >= wanted[0]) & (of_rows <= wanted[-1]))
            ids += [block_ids[place] for place in places]
            parts.append(rows[places, :embed_dim])
            first += len(rows)
        vectors = np.concatenate(parts)
        voices = self.voices[(self.voices >= wanted[0]) & (self.voices <= wanted[-1])]
        order = np.argsort(voices, kind="stable")
        starts = np.searchsorted(voices[order], wanted)
        for voice, rows_of_voice in zip(wanted, np.split(order, starts[1:]), strict=True):
            its_ids = tuple(ids[row] for row in rows_of_voice)
            yield VectorsOfVoice(self.names[voice], its_ids, unit_vectors(vectors[rows_of_voice]))


def read_rows(file: VectorFile, *, embed_dim: int, cut: bool, speakers: Path | None = None) -> VectorRows:
    """Read a vector file once, check every row and find its voice.

    Args:
        file: The file.
        embed_dim: Width of the vectors.
        cut: Cut wider vectors.
        speakers: Speaker by id: Kaldi's utt2spk or a table. None: the part of an id before its first ``/``.

    Raises:
        DataError: If a vector has another width or no direction, or an id has no speaker.
        UsageError: If no voice can have the name of a speaker.
    """
    labels = None if speakers is None else read_speakers(speakers)
    place_of: dict[str, int] = {}
    parts = [_voices_of(block, file.path, labels, place_of, dim=embed_dim, cut=cut) for block in file.blocks()]
    return VectorRows(file, tuple(map(check_voice_name, place_of)), np.concatenate(parts))


def _voices_of(
    block: Block, path: Path, labels: Mapping[str, str] | None, place_of: dict[str, int], *, dim: int, cut: bool
) -> Rows:
    ids, vectors = block
    if vectors.shape[1] < dim or (vectors.shape[1] > dim and not cut):
        raise DataError(f"expected {dim} values a vector, got {vectors.shape[1]}", path, SAME_MODEL)
    table = VectorTable(ids, vectors[:, :dim])
    if not usable_rows(table).all():
        refuse_unusable(table, path)
    names = require_speakers(ids, labels, path)
    return np.array([place_of.setdefault(name, len(place_of)) for name in names], np.int64)
