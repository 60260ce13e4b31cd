"""Sum vectors by speaker, and their second moments within and between speakers, block by block.

The sums of a million vectors take about as long as a few products ``X.T @ X`` of them, and little memory: vectors may
be a memory map.
"""

from collections.abc import Callable, Iterator
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
class Scatter:
    """Moments of vectors in which each speaker has a weight.

    Attributes:
        mean: (dim,) of the speakers' means.
        moment: (dim, dim) second moment about zero.
        between: (dim, dim) second moment of the speakers' means about zero.
    """

    mean: Array
    moment: Array
    between: Array

    @property
    def within(self) -> Array:
        """(dim, dim) second moment of vectors about their speaker's mean."""
        within: Array = self.moment - self.between
        return within

    def moment_about(self, mean: Array) -> Array:
        """Return the second moment (dim, dim) about ``mean`` (dim,)."""
        own = np.outer(self.mean, mean)
        moment: Array = self.moment - own - own.T + np.outer(mean, mean)
        return moment


def sum_scatter(vectors: SpeakerVectors, weights: Array, change: Callable[[SpeakerBlock], Rows | None]) -> Scatter:
    """Return the moments of vectors in one pass.

    Args:
        vectors: The vectors.
        weights: (speakers,), of sum 1.
        change: Changes a block in place; it may return a factor of each row.
    """
    shares = np.sqrt(weights / vectors.counts).astype(np.float32)

    def prepare(block: SpeakerBlock) -> None:
        factors = change(block)
        own = shares[block.first : block.first + len(block.starts)].repeat(block.sizes)
        block.rows[:] *= (own if factors is None else own * factors)[:, None]

    means, moment = sum_speakers(vectors, prepare)
    means /= np.sqrt(vectors.counts)[:, None]  # in place: they may be a hundred megabytes; now the root of the weight
    return Scatter(np.sqrt(weights) @ means, moment, means.T @ means)


def sum_speakers(vectors: SpeakerVectors, change: Callable[[SpeakerBlock], None]) -> tuple[Array, Array]:
    """Return the sum of each speaker's vectors (speakers, dim), and of all outer products (dim, dim).

    A block is multiplied in float32, on one thread; blocks are added in float64, in order. The sums do not depend on
    the number of threads.

    Args:
        vectors: The vectors.
        change: Changes a block in place; called with each block, in several threads.
    """

    def work(_number: int, block: SpeakerBlock) -> tuple[slice, Rows, Rows]:
        change(block)
        return slice(block.first, block.first + len(block.starts)), block.sums(), block.rows.T @ block.rows

    sums, products = np.zeros((len(vectors.counts), vectors.dim)), np.zeros((vectors.dim, vectors.dim))
    for speakers, own, product in _over_blocks(vectors, work):
        sums[speakers] += own
        products += product
    return sums, products


def _over_blocks[T](vectors: SpeakerVectors, work: Callable[[int, SpeakerBlock], T]) -> Iterator[T]:
    """Yield the results of ``work`` on each block, in order; several threads work, with one thread of BLAS each."""
    places = vectors.block_places()

    def work_at(number: int) -> T:
        return work(number, vectors.block(places[number]))

    threads = min(usable_processors(), MOST_THREADS)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for numbers in batched(range(len(places)), BLOCKS_AHEAD):
            yield from pool.map(work_at, numbers)
