"""Lay out the rows of a feature store in shard files; write, check and memory-map the files."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError
from mrlspk.files import whole_file
from mrlspk.reading import reading

type NumberType = Literal["float16", "float32"]

LONGEST_CHECKSUM = 200  # characters that are read of a file that `sha256sum` would write for a shard
SHARD_BYTES = 32 * 2**20
# A killed extraction repeats at most a shard: one part of this many, but no fewer rows than are worth a file.
PARTS, FEWEST_ROWS, WHOLE_BATCH = 128, 16, 64


@dataclass(frozen=True)
class Shard:
    """Rows ``start`` to ``stop`` of a store, in one file."""

    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"shard-{self.number:05}.npy"

    @property
    def rows(self) -> range:
        """Row numbers in the store."""
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
        """Size of all shard files together."""
        n_full, rest = divmod(self.n_rows, self.rows_per_shard)
        return n_full * self.file_bytes(self.rows_per_shard) + (self.file_bytes(rest) if rest else 0)

    def header(self, n_rows: int) -> bytes:
        """Return the .npy header of a shard of ``n_rows``."""
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
    """Return the layout of a new store: shards of at most `SHARD_BYTES`, about `PARTS` of them if they are smaller."""
    part = -(-n_rows // PARTS)
    step = FEWEST_ROWS if part <= WHOLE_BATCH else WHOLE_BATCH  # batches do not cross shards
    rows = max(FEWEST_ROWS, -(-part // step) * step)
    row_bytes = n_features * little_endian(dtype).itemsize
    return Layout(n_rows, n_features, dtype, max(1, min(rows, SHARD_BYTES // row_bytes)))


def store_bytes(n_rows: int, n_features: int, dtype: NumberType) -> int:
    """Return the size on disk, in bytes, of a store of ``n_rows`` vectors of ``n_features`` values."""
    return plan_layout(n_rows, n_features, dtype).nbytes


def little_endian(dtype: NumberType) -> "np.dtype[np.floating]":
    """Return the number type with a byte order that is the same on every machine."""
    return np.dtype(dtype).newbyteorder("<")


class ShardState(Enum):
    """The state of a shard file; each value but that of `COMPLETE` completes a message."""

    COMPLETE = ""
    MISSING = "is not written yet"
    GONE = "is gone"
    SIZE = "has the wrong size"
    CHECKSUM = "does not match its checksum"
    UNREADABLE = "cannot be read"

    @property
    def is_damage(self) -> bool:
        """True if the shard was complete before."""
        return self not in {ShardState.COMPLETE, ShardState.MISSING}


def write_shard(folder: Path, shard: Shard, vectors: NDArray[np.floating], *, layout: Layout) -> None:
    """Write vectors (rows, n_features) of the layout's number type, then their checksum in ``sha256sum`` format.

    A shard without a checksum counts as missing, because the process may die between the two files.

    Raises:
        MrlspkError: If they cannot be written.
    """
    digest = hashlib.sha256()
    with whole_file(folder / shard.name, force=True) as partial, partial.open("wb") as file:
        for part in (layout.header(len(shard)), memoryview(np.ascontiguousarray(vectors)).cast("B")):
            digest.update(part)
            file.write(part)
    with whole_file(checksum_path(folder, shard), force=True) as partial:
        partial.write_text(f"{digest.hexdigest()}  {shard.name}\n")


def inspect_shard(folder: Path, shard: Shard, *, layout: Layout) -> ShardState:
    """Read a shard and compare it with its checksum."""
    path = folder / shard.name
    try:
        with checksum_path(folder, shard).open(errors="replace") as listed:
            expected = listed.read(LONGEST_CHECKSUM)
    except FileNotFoundError:
        return ShardState.MISSING
    except OSError:
        return ShardState.UNREADABLE
    try:
        if path.stat().st_size != layout.file_bytes(len(shard)):
            return ShardState.SIZE
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ShardState.GONE
    except OSError:
        return ShardState.UNREADABLE
    return ShardState.COMPLETE if expected == f"{digest}  {shard.name}\n" else ShardState.CHECKSUM


def map_shard(folder: Path, shard: Shard, *, layout: Layout) -> NDArray[np.floating]:
    """Memory-map a shard (rows, n_features); no file stays open for it.

    Raises:
        MrlspkError: If it is gone or has another size or header.
    """
    path, header, size = folder / shard.name, layout.header(len(shard)), layout.file_bytes(len(shard))
    with reading(path, MrlspkError, "Run the same extraction again."), path.open("rb") as file:
        fits = file.read(len(header)) == header and path.stat().st_size == size
    if not fits:
        raise MrlspkError("does not match the key of its feature store", path, "Run the same extraction again.")
    # numpy.memmap keeps a file open each: a store of a thousand shards would exceed the limit of a process.
    mapped: NDArray[np.uint8] = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).numpy()
    values = mapped[len(header) :].view(little_endian(layout.dtype))
    return values.reshape(len(shard), layout.n_features)


def checksum_path(folder: Path, shard: Shard) -> Path:
    """Return the file that holds the SHA-256 of a shard."""
    return (folder / shard.name).with_suffix(".sha256")
