"""Hold the embeddings of a corpus by speaker, and score utterances and speakers against each other.

Cosines are of vectors from which the mean of the speakers' means is subtracted: those of different speakers are then
about 0, whatever the model. A cosine is divided by the mean cosine within the voices that it compares. The ratio is
about 1 for one voice and about 0 for two, for good and bad recordings alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

type Vectors = NDArray[np.float32]
type Floats = NDArray[np.float64]

ROWS = 4096  # vectors centred or multiplied at a time
PRIOR_RECORDINGS = 2  # the weight, in recordings, of the typical cosine within a voice beside the voice's own
LOWEST_WITHIN = 0.1  # of the typical cosine: a voice whose recordings differ more is measured by this
SHORTEST = 1e-12  # a length to divide by


@dataclass(frozen=True, eq=False)
class Sums:
    """Groups of recordings, each as the sum of its unit vectors.

    Attributes:
        vectors: (groups, dim) float64.
        counts: (groups,), recordings of each.
    """

    vectors: Floats
    counts: NDArray[np.int64]

    @property
    def means(self) -> Floats:
        """(groups, dim), the product of two is the mean cosine of the recordings of two groups."""
        return np.asarray(self.vectors / self.counts[:, None])

    @property
    def own_cosines(self) -> Floats:
        """(groups,), the mean cosine of two recordings of a group; 0 for a group of one."""
        pairs = self.counts * (self.counts - 1)
        return np.asarray((np.einsum("gd,gd->g", self.vectors, self.vectors) - self.counts) / np.maximum(pairs, 1))

    def within(self, typical: float) -> Floats:
        """Return the mean cosine within each group (groups,), drawn to the typical one where recordings are few."""
        weights = self.counts - 1
        drawn = (self.own_cosines * weights + typical * PRIOR_RECORDINGS) / (weights + PRIOR_RECORDINGS)
        return np.asarray(np.maximum(drawn, LOWEST_WITHIN * typical))

    def take(self, groups: NDArray[np.integer] | slice) -> "Sums":
        """Return some of the groups."""
        return Sums(self.vectors[groups], self.counts[groups])


@dataclass(frozen=True, eq=False)
class Voices:
    """The embeddings of a corpus.

    Attributes:
        vectors: (utterances, dim), of any length but zero; a memory-mapped file is read in parts.
        speaker_index: (utterances,), speaker of each, from 0.
        n_speakers: Each has an utterance or more.
    """

    vectors: Vectors
    speaker_index: NDArray[np.int64]
    n_speakers: int

    @cached_property
    def rows(self) -> tuple[NDArray[np.int64], ...]:
        """The utterances of each speaker."""
        order = np.argsort(self.speaker_index, kind="stable")
        counts = np.bincount(self.speaker_index, minlength=self.n_speakers)
        return tuple(np.split(order, np.cumsum(counts)[:-1]))

    @cached_property
    def centre(self) -> Floats:
        """(dim,), mean of the speakers' means."""
        means = (_unit(self.vectors[rows].astype(np.float64)).mean(0) for rows in self.rows)
        return np.asarray(sum(means) / self.n_speakers)

    def unit(self, rows: NDArray[np.integer]) -> Floats:
        """Return the centred vectors of some utterances, at unit length."""
        return _unit(_unit(self.vectors[rows].astype(np.float64)) - self.centre)

    def sums(self, groups: tuple[NDArray[np.int64], ...] | None = None) -> Sums:
        """Return the sums of groups of utterances, by default the speakers'."""
        groups = self.rows if groups is None else groups
        return Sums(np.stack([self.unit(rows).sum(0) for rows in groups]), np.array([len(rows) for rows in groups]))

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """Yield the utterances, some at a time."""
        for start in range(0, len(self.vectors), ROWS):
            yield np.arange(start, min(start + ROWS, len(self.vectors)))


def typical_within(sums: Sums) -> float:
    """Return the median of the mean cosines within groups of two recordings or more."""
    own = sums.own_cosines[sums.counts > 1]
    return float(np.median(own)) if len(own) else 1.0


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, SHORTEST))
