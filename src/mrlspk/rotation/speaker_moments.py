"""Sum vectors by speaker, and their second moment, block by block.

The sums of a million vectors take about as long as a few products ``X.T @ X`` of them, and little memory: vectors may
be a memory map.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mrlspk.inference.graph_backend import usable_processors

type Array = NDArray[np.float64]
type Rows = NDArray[np.float32]

BLOCK_VALUES = 1 << 19  # 2 MiB of float32: a block stays in the cache while it is used several times
MOST_THREADS, BLOCKS_AHEAD = 8, 128


@dataclass(frozen=True, eq=False)
class SpeakerBlock:
    """Vectors (rows, dim) of successive speakers.

    Attributes:
        rows: A copy, which may be changed.
        first: The first speaker.
        starts: (speakers,) where the vectors of each begin.
    """

    rows: Rows
    first: int
    starts: NDArray[np.intp]

    @property
    def sizes(self) -> NDArray[np.intp]:
        """(speakers,) number of vectors of each."""
        return np.diff(self.starts, append=len(self.rows))

    def sums(self) -> Rows:
        """Return the sum of each speaker's vectors (speakers, dim)."""
        from scipy.sparse import csr_array

        indptr = np.append(self.starts, len(self.rows))
        ones = np.ones(len(self.rows), np.float32)
        shape = len(self.starts), len(self.rows)
        sums: Rows = csr_array((ones, np.arange(len(self.rows)), indptr), shape=shape) @ self.rows
        return sums


class SpeakerVectors:
    """Vectors that are read in blocks, speaker by speaker.

    Args:
        vectors: (n, dim) floats, which may be a memory map.
        speaker_index: (n,) speaker labels; any integers.

    Attributes:
        vectors: As given.
        counts: (speakers,) number of vectors of each speaker, by rising label.

    Raises:
        ValueError: If the arrays do not match or are empty.
    """

    def __init__(self, vectors: NDArray[np.floating], speaker_index: NDArray[np.integer]) -> None:
        if vectors.ndim != 2 or not vectors.size or speaker_index.shape != vectors.shape[:1]:
            raise ValueError(f"expected (n, dim) and (n,), got {vectors.shape} and {speaker_index.shape}")
        labels = np.unique(speaker_index, return_inverse=True)[1]
        self.vectors, self.counts = vectors, np.bincount(labels)
        self._is_sorted = bool((np.diff(labels) >= 0).all())
        self._order = np.argsort(labels, kind="stable")
        self._labels = labels[self._order]

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.vectors.shape[1])

    def block_places(self) -> list[slice]:
        """Return the places of blocks of successive vectors; a speaker with many is in several blocks."""
        size = max(1, BLOCK_VALUES // self.dim)
        return [slice(first, first + size) for first in range(0, len(self._labels), size)]

    def block(self, places: slice) -> SpeakerBlock:
        """Return a block in float32."""
        if self._is_sorted:
            rows = np.array(self.vectors[places], np.float32, order="C")
        else:
            rows = np.ascontiguousarray(self.vectors[self._order[places]], np.float32)
        labels = self._labels[places]
        return SpeakerBlock(rows, int(labels[0]), np.flatnonzero(np.diff(labels, prepend=labels[0] - 1)))


@dataclass(frozen=True, eq=False)
class SpeakerMoments:
    """Sums of vectors.

    Attributes:
        sums: (speakers, dim) of each speaker's vectors.
        counts: (speakers,) number of each speaker's vectors.
        products: (dim, dim) of the outer products of all vectors.
    """

    sums: Array
    counts: NDArray[np.intp]
    products: Array

    @property
    def means(self) -> Array:
        """(speakers, dim) mean of each speaker's vectors."""
        means: Array = self.sums / self.counts[:, None]
        return means


def sum_moments(vectors: SpeakerVectors, change: Callable[[SpeakerBlock], None]) -> SpeakerMoments:
    """Return the sums of vectors that ``change`` changes in place, in one pass.

    A block is multiplied in float32, on one thread; blocks are added in float64, in order. The sums do not depend on
    the number of threads.
    """
    sums = np.zeros((len(vectors.counts), vectors.dim))
    products = np.zeros((vectors.dim, vectors.dim))

    def multiply(places: slice) -> tuple[slice, Rows, Rows]:
        block = vectors.block(places)
        change(block)
        last = block.first + len(block.starts)
        return slice(block.first, last), block.sums(), block.rows.T @ block.rows

    threads = min(usable_processors(), MOST_THREADS)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for places in batched(vectors.block_places(), BLOCKS_AHEAD):
            for speakers, own, product in pool.map(multiply, places):
                sums[speakers] += own
                products += product
    return SpeakerMoments(sums, vectors.counts, products)
