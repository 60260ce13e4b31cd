"""Load vector files of any toolkit, whole or block by block."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.reading import reading
from mrlspk.vectors.numpy_files import open_npy, open_npz
from mrlspk.vectors.table import Block, VectorFile, VectorTable

FORMATS = ".npz", ".npy"


def load_vectors(path: Path, *, ids: Path | None = None) -> VectorTable:
    """Return all vectors of a file; its format is told by its content and suffix.

    Args:
        path: The file.
        ids: Ids of the rows of an .npy file, one per line; None for ``NAME.ids.txt`` beside it.

    Raises:
        DataError: If it is not a vector file, is damaged, or its rows differ in width.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    file = open_vectors(path, ids=ids)
    names: list[str] = []
    vectors: NDArray[np.float32] | None = None
    parts: list[NDArray[np.float32]] = []
    for block_ids, rows in file.blocks():
        if file.count is None:
            parts.append(rows)
        else:
            if vectors is None:
                vectors = np.empty((file.count, rows.shape[1]), np.float32)
            vectors[len(names) : len(names) + len(rows)] = rows
        names += block_ids
    if vectors is None:
        vectors = np.concatenate(parts)
    origin = file.origin
    return VectorTable(tuple(names), vectors, origin.fingerprint, origin.speech_detector, origin.dims)


def vector_blocks(path: Path, *, ids: Path | None = None) -> Iterator[Block]:
    """Yield ids (rows,) and vectors (rows, dim) of a file in order, 16 MiB at a time.

    Raises:
        DataError: As of `load_vectors`.
        MissingDependencyError: As of `load_vectors`.
    """
    yield from open_vectors(path, ids=ids).blocks()


def open_vectors(path: Path, *, ids: Path | None = None) -> VectorFile:
    """Recognise a vector file and read what it says of itself, but not its vectors.

    Raises:
        DataError: As of `load_vectors`.
        MissingDependencyError: As of `load_vectors`.
    """
    with reading(path, DataError), path.open("rb") as file:
        begin = file.read(8)
    if begin.startswith(b"PK"):
        return open_npz(path)
    if begin.startswith(b"\x93NUMPY"):
        return open_npy(path, ids)
    raise DataError(f"expected a vector file ({', '.join(FORMATS)}), got another", path)
