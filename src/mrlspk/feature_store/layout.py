"""How the rows of a store lie in its shards, and what they take."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

type NumberType = Literal["float16", "float32"]

SHARD_BYTES = 32 * 2**20  # what a killed extraction has to do again at most


@dataclass(frozen=True)
class Shard:
    """Rows ``start`` to ``stop`` of a store, in a file of their own."""

    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        """Of the file."""
        return f"shard-{self.number:05}.npy"

    @property
    def rows(self) -> range:
        """The numbers of its rows in the store."""
        return range(self.start, self.stop)


@dataclass(frozen=True)
class Layout:
    """A table of ``n_rows`` vectors of ``n_features`` values in shards of ``rows_per_shard``; the last may be short."""

    n_rows: int
    n_features: int
    dtype: NumberType
    rows_per_shard: int

    @property
    def shards(self) -> Iterator[Shard]:
        """All shards, in order."""
        for number, start in enumerate(range(0, self.n_rows, self.rows_per_shard)):
            yield Shard(number, start, min(start + self.rows_per_shard, self.n_rows))

    @property
    def nbytes(self) -> int:
        """Of the files of all shards together."""
        n_full, rest = divmod(self.n_rows, self.rows_per_shard)
        return n_full * self.file_bytes(self.rows_per_shard) + (self.file_bytes(rest) if rest else 0)

    def header(self, n_rows: int) -> bytes:
        """Return what a shard of ``n_rows`` begins with: the header of a .npy file."""
        file = io.BytesIO()
        description = {"descr": little_endian(self.dtype).str, "fortran_order": False, "shape": self._shape(n_rows)}
        np.lib.format.write_array_header_1_0(file, description)
        return file.getvalue()

    def file_bytes(self, n_rows: int) -> int:
        """Return the size of the file of a shard of ``n_rows``."""
        return len(self.header(n_rows)) + n_rows * self.n_features * little_endian(self.dtype).itemsize

    def _shape(self, n_rows: int) -> tuple[int, int]:
        return n_rows, self.n_features


def plan_layout(n_rows: int, n_features: int, dtype: NumberType) -> Layout:
    """Return the layout of a new store: as many rows a shard as `SHARD_BYTES` hold, one at least."""
    row_bytes = n_features * little_endian(dtype).itemsize
    return Layout(n_rows, n_features, dtype, max(1, SHARD_BYTES // row_bytes))


def store_bytes(n_rows: int, n_features: int, dtype: NumberType) -> int:
    """Return what the shards of a store of ``n_rows`` vectors of ``n_features`` values take on disk, in bytes."""
    return plan_layout(n_rows, n_features, dtype).nbytes


def little_endian(dtype: NumberType) -> "np.dtype[np.floating]":
    """Return the number type with a byte order that does not depend on the machine."""
    return np.dtype(dtype).newbyteorder("<")
