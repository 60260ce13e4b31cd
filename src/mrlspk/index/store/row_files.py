"""Append rows of an array to a file, and map them into memory."""

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError

OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700
LENGTH_TOLERANCE = 1e-3
RESTORE = "Restore the folder from a copy, or make the index again."

type Rows = NDArray[Any]


@dataclass(frozen=True)
class Segment:
    """Rows that one append wrote."""

    file: str
    first_row: int
    rows: int
    crc32: int


@dataclass(frozen=True)
class RowFile:
    """A file of rows (columns,) of one type, without a header."""

    path: Path
    columns: int
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.columns * self.dtype.itemsize

    def map(self, rows: int) -> Rows:
        """Return the first rows (rows, columns), mapped read-only: none is read before it is used.

        Raises:
            FileNotFoundError: If there is no such file.
            MrlspkError: If the file has fewer rows.
        """
        if rows == 0:
            return np.empty((0, self.columns), self.dtype)
        with self.path.open("rb") as file:
            check_size(self, rows, os.fstat(file.fileno()).st_size)
            buffer = mmap.mmap(file.fileno(), rows * self.row_bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(buffer, self.dtype).reshape(rows, self.columns)


class RowAppender:
    """An open `RowFile` to append to; after an error in its context nothing is appended.

    Args:
        file: Made if it has no rows yet.
        rows: Rows that are committed; what follows them was left by a change that was not acknowledged, and is cut.

    Raises:
        MrlspkError: If the file has fewer rows.
        OSError: If it cannot be written.
    """

    def __init__(self, file: RowFile, rows: int) -> None:
        self.file, self.rows, self._committed = file, rows, rows
        self._descriptor = os.open(file.path, os.O_RDWR | (0 if rows else os.O_CREAT), OWNER_ONLY)
        try:
            check_size(file, rows, os.fstat(self._descriptor).st_size)
            os.ftruncate(self._descriptor, rows * file.row_bytes)
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, rows: Rows) -> Segment:
        """Append rows (n, columns)."""
        block = np.ascontiguousarray(rows, self.file.dtype)
        content = memoryview(block).cast("B") if block.size else memoryview(b"")
        _write_at(self._descriptor, content, self.rows * self.file.row_bytes)
        segment = Segment(self.file.path.name, self.rows, len(block), zlib.crc32(content))
        self.rows += len(block)
        return segment

    def read(self, rows: NDArray[np.int64]) -> Rows:
        """Return rows (n, columns), those appended included."""
        size = self.file.row_bytes
        content = b"".join(os.pread(self._descriptor, size, int(row) * size) for row in rows)
        return np.frombuffer(content, self.file.dtype).reshape(len(rows), self.file.columns)

    def sync(self) -> None:
        """Write to the disk what the system has in memory."""
        os.fsync(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:  # it may be that the rows have filled the disk
                os.ftruncate(self._descriptor, self._committed * self.file.row_bytes)
        finally:
            os.close(self._descriptor)


def is_unit_length(vectors: Rows) -> NDArray[np.bool_]:
    """Return which vectors (n, dim) have length 1."""
    is_unit: NDArray[np.bool_] = np.abs(np.linalg.norm(vectors, axis=1) - 1) < LENGTH_TOLERANCE
    return is_unit


def check_size(file: RowFile, rows: int, n_bytes: int) -> None:
    """Refuse a file that has fewer rows than the database says."""
    if n_bytes < rows * file.row_bytes:
        what = f"expected {rows * file.row_bytes:,} bytes, got {n_bytes:,}"
        raise MrlspkError(what, file.path, RESTORE)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written
