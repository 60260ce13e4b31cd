"""Scan codes or vectors with NumPy, block by block."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.funnel.arrays import Mask, Slots
from mrlspk.index.funnel.codes import INT8_ZERO, Codes, Floats, row_blocks
from mrlspk.index.funnel.nearest import Distances, NearestRows

type BlockDistances = Callable[[Codes], Iterable[Distances]]
"""Return one array of distances per query for a block of rows."""

_CODE_BLOCK_BYTES = 1 << 20
_FLOAT_BLOCK_ROWS = 4096
_MASKED_ROWS = 1 << 20
_TILE_ROWS = 64
_LANES: dict[int, type[np.unsignedinteger]] = {1: np.uint8, 2: np.uint16, 4: np.uint32}


def scan(array: Codes, distances_of: BlockDistances, nearest: Sequence[NearestRows], live: Mask | None) -> None:
    """Offer every live row of ``array`` to the nearest rows of each query."""
    for first, positions, block in _live_blocks(np.asarray(array), live):
        for rows, distances in zip(nearest, distances_of(block), strict=True):
            rows.offer(distances, first, positions)


def bit_distances(queries: Codes) -> BlockDistances:
    """Return a function that counts the bits in which codes differ from each query."""
    words = queries.shape[1] // 8
    tiles = [np.tile(query.view(np.uint64), _TILE_ROWS) for query in queries]

    def count(block: Codes) -> Iterator[Distances]:
        rows = len(block)
        missing = -rows % _TILE_ROWS
        whole = np.pad(block, ((0, missing), (0, 0))) if missing else block
        tiled = whole.view(np.uint64).reshape(-1, _TILE_ROWS * words)
        differing = np.empty_like(tiled)
        for tile in tiles:
            counts = np.bitwise_count(np.bitwise_xor(tiled, tile, out=differing))
            yield _row_sums(counts.reshape(-1, words))[:rows]

    return count


def code_distances(queries: Floats) -> BlockDistances:
    """Return a function that gives the negative products of int8 or float32 codes with each query."""
    negative = -queries

    def multiply(block: Codes) -> Floats:
        if block.dtype == np.uint8:
            block = (block ^ np.uint8(INT8_ZERO)).view(np.int8).astype(np.float32)
        products: Floats = negative @ block.T
        return products

    return multiply


def prefix_distances(queries: Floats, *, cut: bool) -> BlockDistances:
    """Return a function that gives negative cosines with each query, of unit length.

    Args:
        queries: Unit vectors.
        cut: True if rows are prefixes of unit vectors.
    """
    negative = -queries

    def multiply(block: Codes) -> Floats:
        products: Floats = negative @ block.T
        return products / prefix_lengths(block) if cut else products

    return multiply


def prefix_lengths(prefixes: Floats) -> Floats:
    """Return the lengths of rows; 1 for rows of zeros."""
    lengths: Floats = np.sqrt(np.einsum("rd,rd->r", prefixes, prefixes))
    return np.where(lengths > 0, lengths, np.float32(1))


def _live_blocks(array: Codes, live: Mask | None) -> Iterator[tuple[int, Slots | None, Codes]]:
    size = _FLOAT_BLOCK_ROWS if array.dtype == np.float32 else max(_TILE_ROWS, _CODE_BLOCK_BYTES // array.shape[1])
    if live is None:
        yield from ((rows.start, None, array[rows]) for rows in row_blocks(len(array), size))
        return
    for rows in row_blocks(len(array), _MASKED_ROWS):
        positions = np.flatnonzero(live[rows])
        for part in row_blocks(len(positions), size):
            yield rows.start, positions[part], array[rows][positions[part]]


def _row_sums(counts: NDArray[np.uint8]) -> Distances:
    """Add up the bytes of each row within machine words, in place; bytes of at most 64 never overflow a lane."""
    words = counts.shape[1]
    lane = _LANES.get(words, np.uint64)
    sums = counts.view(lane)
    bits = sums.itemsize * 8
    if words > 1:
        pairs = lane(0x00FF00FF00FF00FF & (2**bits - 1))
        odd = sums >> lane(8)
        odd &= pairs
        sums &= pairs
        sums += odd
    if words > 2:
        sums *= lane(0x0001000100010001 & (2**bits - 1))
        sums >>= lane(bits - 16)
    total: Distances = sums[:, 0] if sums.shape[1] == 1 else sums.sum(axis=1)
    return total
