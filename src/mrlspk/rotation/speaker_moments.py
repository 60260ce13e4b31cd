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

BLOCK_VALUES = 1 << 20  # 4 MiB of float32: a block stays in the cache while it is used several times
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
        self._order = np.argsort(speaker_index, kind="stable")
        labels = speaker_index[self._order]
        self._labels = np.cumsum(np.diff(labels, prepend=labels[:1]) != 0)
        self._is_sorted = bool((np.diff(self._order) == 1).all())
        self.vectors, self.counts = vectors, np.bincount(self._labels)

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
            found = np.take(self.vectors, self._order[places], axis=0, mode="clip")  # all places exist; it is quicker
            rows = np.ascontiguousarray(found, np.float32)
        labels = self._labels[places]
        return SpeakerBlock(rows, int(labels[0]), np.flatnonzero(np.diff(labels, prepend=labels[0] - 1)))


@dataclass(frozen=True, eq=False)
class SpeakerMoments:
    """Sums of vectors.

    Attributes:
        sums: (speakers, dim) of each speaker's vectors.
        counts: (speakers,) number of each speaker's vectors.
        products: (dim, dim) of the outer products of ``n_multiplied`` vectors.
        multiplied: (dim,) of these vectors.
        n_multiplied: All vectors, or a part that is spread evenly over the speakers.
    """

    sums: Array
    counts: NDArray[np.intp]
    products: Array
    multiplied: Array
    n_multiplied: int

    def mean_of_speakers(self) -> Array:
        """Return the mean of the speakers' means (dim,)."""
        mean: Array = (1 / self.counts) @ self.sums / len(self.counts)
        return mean

    def moment_about(self, mean: Array) -> Array:
        """Return the second moment (dim, dim) of the multiplied vectors about ``mean`` (dim,)."""
        own = np.outer(self.multiplied / self.n_multiplied, mean)
        moment: Array = self.products / self.n_multiplied - own - own.T + np.outer(mean, mean)
        return moment


def sum_moments(
    vectors: SpeakerVectors, change: Callable[[SpeakerBlock], None], *, most_multiplied: int | None = None
) -> SpeakerMoments:
    """Return the sums of vectors that ``change`` changes in place, in one pass.

    A block is multiplied in float32, on one thread; blocks are added in float64, in order. The sums do not depend on
    the number of threads.

    Args:
        vectors: The vectors.
        change: Called with each block, in several threads.
        most_multiplied: About how many vectors to multiply at most; None for all.
    """
    places = vectors.block_places()
    every = -(-len(vectors.vectors) // (most_multiplied or len(vectors.vectors)))
    sums = np.zeros((len(vectors.counts), vectors.dim))
    products, multiplied, n_multiplied = np.zeros((vectors.dim, vectors.dim)), np.zeros(vectors.dim), 0

    def multiply(number: int) -> tuple[slice, Rows, Rows | None]:
        block = vectors.block(places[number])
        change(block)
        speakers = slice(block.first, block.first + len(block.starts))
        return speakers, block.sums(), None if number % every else block.rows.T @ block.rows

    threads = min(usable_processors(), MOST_THREADS)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for numbers in batched(range(len(places)), BLOCKS_AHEAD):
            for number, (speakers, own, product) in zip(numbers, pool.map(multiply, numbers), strict=True):
                sums[speakers] += own
                if product is not None:
                    products += product
                    multiplied += own.sum(axis=0, dtype=np.float64)
                    n_multiplied += len(vectors.vectors[places[number]])
    return SpeakerMoments(sums, vectors.counts, products, multiplied, n_multiplied)
