"""Score queries against the voices of an index: against their own, without what the query comes from, and others."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

DUPLICATE = 0.9999  # recordings of a higher cosine are the same audio
QUERIES_PER_BLOCK = 256

type Vectors = NDArray[np.float32]
type MakeProfiles = Callable[[Vectors, NDArray[np.float64]], Vectors]


@dataclass(frozen=True, eq=False)
class EnrolledRecordings:
    """The recordings of enrolled voices.

    Attributes:
        vectors: (recordings, embed_dim), of unit length.
        names: Of the voices; each has a recording.
        voice_index: (recordings,), place of the voice in ``names``.
        speech_seconds: (recordings,), their weights in the voice's vector.
        sources: Where each comes from; those of one folder count as one session.
    """

    vectors: Vectors
    names: tuple[str, ...]
    voice_index: NDArray[np.intp]
    speech_seconds: NDArray[np.float64]
    sources: tuple[str, ...]

    @property
    def n_voices(self) -> int:
        """Number of voices."""
        return len(self.names)

    @cached_property
    def sessions(self) -> NDArray[np.intp]:
        """(recordings,), a number for each folder of the sources."""
        return np.unique([str(PurePath(each).parent) for each in self.sources], return_inverse=True)[1]

    @cached_property
    def rows_of(self) -> list[NDArray[np.intp]]:
        """The rows of each voice."""
        order = np.argsort(self.voice_index, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.voice_index))[:-1])


@dataclass(frozen=True, eq=False)
class Queries:
    """Recordings, or cuts of them, that are compared with the voices.

    Attributes:
        vectors: (queries, embed_dim), of unit length.
        voice_index: (queries,), the voice that speaks; -1 for one that is not enrolled.
        speech_seconds: (queries,).
        recording: (queries,), row of the enrolled recording that a query is, or is cut from; -1 for others.
    """

    vectors: Vectors
    voice_index: NDArray[np.intp]
    speech_seconds: NDArray[np.float64]
    recording: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.vectors)

    def take(self, rows: NDArray[np.intp]) -> "Queries":
        """Return some of the queries."""
        return Queries(self.vectors[rows], self.voice_index[rows], self.speech_seconds[rows], self.recording[rows])


def own_queries(enrolled: EnrolledRecordings) -> Queries:
    """Return every enrolled recording as a query."""
    rows = np.arange(len(enrolled.vectors))
    return Queries(enrolled.vectors, enrolled.voice_index, enrolled.speech_seconds, rows)


def concatenate(parts: list[Queries]) -> Queries:
    """Return the queries of all parts."""
    return Queries(
        np.concatenate([each.vectors for each in parts]),
        np.concatenate([each.voice_index for each in parts]),
        np.concatenate([each.speech_seconds for each in parts]),
        np.concatenate([each.recording for each in parts]),
    )


def mean_profile(vectors: Vectors, weights: NDArray[np.float64]) -> Vectors:
    """Return the mean of unit vectors (recordings, embed_dim) by their weights as one unit vector, (1, embed_dim)."""
    mean = weights @ vectors.astype(np.float64)
    return (mean / np.linalg.norm(mean))[None].astype(np.float32)


@dataclass(frozen=True, eq=False)
class IndexTrials:
    """Cosines of queries with voices.

    Attributes:
        target: (queries, widths), with the own voice; NaN where nothing of it is left.
        others: (widths, queries, voices), with every voice; NaN with the own.
        is_across: (queries,), whether the own voice was compared without the folder of the query.
    """

    target: NDArray[np.float64]
    others: NDArray[np.float32]
    is_across: NDArray[np.bool_]


def score_trials(
    enrolled: EnrolledRecordings,
    queries: Queries,
    dims: tuple[int, ...],
    *,
    make_profiles: MakeProfiles = mean_profile,
) -> IndexTrials:
    """Return the cosines of every query with every voice; of several profiles the best counts.

    A query that is an enrolled recording, or a cut of one, is compared with its voice without the recordings of the
    same folder. If the voice has no other folder, only the recording itself and copies of it are left out.
    """
    weights = enrolled.speech_seconds
    profiles = [make_profiles(enrolled.vectors[rows], weights[rows]) for rows in enrolled.rows_of]
    first = np.cumsum([0, *map(len, profiles)])[:-1]
    stacked = np.concatenate(profiles)
    others = np.empty((len(dims), len(queries), enrolled.n_voices), dtype=np.float32)
    for start in range(0, len(queries), QUERIES_PER_BLOCK):
        block = slice(start, start + QUERIES_PER_BLOCK)
        for place, dim in enumerate(dims):
            cosines = _unit(queries.vectors[block, :dim]) @ _unit(stacked[:, :dim]).T
            others[place, block] = np.maximum.reduceat(cosines, first, axis=1)
    target = np.full((len(queries), len(dims)), np.nan)
    is_across = np.zeros(len(queries), dtype=bool)
    for query, voice in enumerate(queries.voice_index):
        if voice < 0:
            continue
        rows = enrolled.rows_of[voice]
        kept, is_across[query] = _rows_left(enrolled, rows, int(queries.recording[query]))
        if len(kept) == len(rows):
            target[query] = others[:, query, voice]
        elif len(kept):
            made = make_profiles(enrolled.vectors[kept], weights[kept])
            vector = queries.vectors[query : query + 1]
            target[query] = [float((_unit(vector[:, :dim]) @ _unit(made[:, :dim]).T).max()) for dim in dims]
        others[:, query, voice] = np.nan
    return IndexTrials(target, others, is_across)


def _rows_left(enrolled: EnrolledRecordings, rows: NDArray[np.intp], recording: int) -> tuple[NDArray[np.intp], bool]:
    """Return the rows of a voice that a query of it is compared with, and whether they are of other folders."""
    if recording < 0:
        return rows, False
    is_copy = enrolled.vectors[rows] @ enrolled.vectors[recording] >= DUPLICATE
    is_same_session = enrolled.sessions[rows] == enrolled.sessions[recording]
    across = rows[~is_copy & ~is_same_session]
    return (across, True) if len(across) else (rows[~is_copy], False)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
