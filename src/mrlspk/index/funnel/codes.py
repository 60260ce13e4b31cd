"""Encode unit vectors as the short codes that a search scans first.

All codes lie on a grid so coarse that sums of products are exact in float32, whatever their order. So a code is the
same alone and among a million, and a scan gives the same distances with NumPy, with faiss, alone and in a batch.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.shortlist import BITS_PER_VALUE, ShortlistSpec

type Codes = NDArray[Any]  # uint8 for bits and int8, float32 otherwise
type Floats = NDArray[np.float32]

BLOCK_ROWS = 16384
WORD_BYTES = 8
INT8_ZERO = 128  # int8 values are stored as value + 128, as faiss's QT_8bit_direct_signed reads them
_INT8_LIMIT = 127  # of a whole unit: no value is clipped, as Matryoshka vectors have a few large ones
_CODE_STEPS, _QUERY_STEPS = 2.0**12, 2.0**11  # products are multiples of 2^-23, and their sums stay below 2


def code_dtype(spec: ShortlistSpec) -> np.dtype[Any]:
    """Return the dtype of a code's values: float32, or uint8 for bits and int8."""
    return np.dtype(np.float32) if spec.type == "float32" else np.dtype(np.uint8)


def code_columns(spec: ShortlistSpec) -> int:
    """Return how many values of ``code_dtype`` one code has; rows of bits have 1, 2, 4, 8 … words of 64 bits."""
    if spec.type != "bits":
        return spec.dim
    words = -(-spec.dim // (8 * WORD_BYTES))
    return WORD_BYTES << (words - 1).bit_length()


def random_rotation(dim: int, seed: int) -> Floats:
    """Return two random orthogonal (dim, dim) matrices side by side, rounded to the grid of queries.

    An index stores them: another linear algebra library may round another way.
    """
    random = np.random.default_rng(seed).standard_normal((BITS_PER_VALUE, dim, dim))
    matrices, triangles = np.linalg.qr(random)
    signs = np.sign(np.diagonal(triangles, axis1=1, axis2=2))[:, None]
    return _on_grid(np.concatenate(matrices * signs, axis=1), _QUERY_STEPS)


def encode(vectors: Floats, spec: ShortlistSpec, rotation: Floats | None) -> Codes:
    """Return the codes, (rows, code_columns), of unit vectors of (rows, embed_dim).

    Bits are the signs of the first ``spec.dim`` values after ``rotation``, (embed_dim, 2 x embed_dim). int8 and
    float32 are prefixes of unit length; int8 has a fixed scale of 127, so that codes stay valid when voices are added.
    """
    codes = np.zeros((len(vectors), code_columns(spec)), code_dtype(spec))
    for rows in row_blocks(len(vectors)):
        block = _encode_block(np.ascontiguousarray(vectors[rows]), spec, rotation)
        codes[rows, : block.shape[1]] = block
    return codes


def encode_queries(vectors: NDArray[np.floating], spec: ShortlistSpec, rotation: Floats | None) -> Codes:
    """Return what a scan compares with codes: the same bits, or values whose products with codes are exact.

    Queries may have any length.
    """
    if spec.type == "bits":
        return encode(unit_prefixes(vectors, vectors.shape[1]).astype(np.float32), spec, rotation)
    prefixes = unit_prefixes(vectors, spec.dim)
    if spec.type == "float32":
        return _on_grid(prefixes, _QUERY_STEPS)
    largest = np.maximum(np.abs(prefixes).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    whole: Floats = np.rint(prefixes / largest * _INT8_LIMIT).astype(np.float32)  # faiss floors and wraps the rest
    return whole


def unit_prefixes(vectors: NDArray[np.floating], dim: int) -> NDArray[np.float64]:
    """Return the first ``dim`` values of each row, scaled to unit length; rows of zeros stay zeros."""
    prefixes = np.array(vectors[:, :dim], dtype=np.float64, order="C")
    lengths = np.sqrt(np.add.reduce(prefixes * prefixes, axis=1, keepdims=True))
    return np.divide(prefixes, lengths, out=prefixes, where=lengths > 0)


def row_blocks(rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Cut ``rows`` into slices of at most ``size``."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _encode_block(vectors: Floats, spec: ShortlistSpec, rotation: Floats | None) -> Codes:
    if spec.type == "bits":
        if rotation is None:
            raise ValueError("sign bits need a rotation")
        rotated = _on_grid(vectors, _CODE_STEPS) @ rotation[:, : spec.dim]
        return np.packbits(rotated > 0, axis=1, bitorder="little")
    prefixes = unit_prefixes(vectors, spec.dim)
    if spec.type == "float32":
        return _on_grid(prefixes, _CODE_STEPS)
    return (np.rint(prefixes * _INT8_LIMIT) + INT8_ZERO).astype(np.uint8)


def _on_grid(values: NDArray[np.floating], steps: float) -> Floats:
    rounded: Floats = (np.rint(values * steps) / steps).astype(np.float32)
    return rounded
