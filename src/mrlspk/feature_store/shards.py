"""Shards as files: written whole with a checksum beside them, checked, and mapped into memory."""

import hashlib
from enum import Enum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.layout import Layout, Shard, little_endian
from mrlspk.files import whole_file


class ShardState(Enum):
    """What is found in place of a shard; of all but whole ones a description."""

    WHOLE = ""
    NOT_MADE = "has not been made"
    GONE = "is gone"
    SIZE = "has the wrong size"
    CHECKSUM = "differs from its checksum"
    UNREADABLE = "cannot be read"

    @property
    def is_damage(self) -> bool:
        """Whether it was whole once."""
        return self not in {ShardState.WHOLE, ShardState.NOT_MADE}


def write_shard(folder: Path, shard: Shard, vectors: NDArray[np.floating], *, layout: Layout) -> None:
    """Write vectors (rows, features) of the layout's number type, then their checksum in the format of ``sha256sum``.

    A shard without a checksum counts as not made: between the two files a process may die.

    Raises:
        MrlspkError: If they cannot be written.
    """
    digest = hashlib.sha256()
    with whole_file(folder / shard.name) as partial, partial.open("wb") as file:
        for part in (layout.header(len(shard)), memoryview(np.ascontiguousarray(vectors)).cast("B")):
            digest.update(part)
            file.write(part)
    with whole_file(checksum_path(folder, shard)) as partial:
        partial.write_text(f"{digest.hexdigest()}  {shard.name}\n")


def inspect_shard(folder: Path, shard: Shard, *, layout: Layout) -> ShardState:
    """Read a shard, and return whether it is what was written."""
    path = folder / shard.name
    try:
        expected = checksum_path(folder, shard).read_text(errors="replace")
    except FileNotFoundError:
        return ShardState.NOT_MADE
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
    return ShardState.WHOLE if expected == f"{digest}  {shard.name}\n" else ShardState.CHECKSUM


def map_shard(folder: Path, shard: Shard, *, layout: Layout) -> NDArray[np.floating]:
    """Return a shard (rows, features) that is read from the file as it is used; no file stays open for it.

    Raises:
        MrlspkError: If it is gone or has another size or header.
    """
    path, header, size = folder / shard.name, layout.header(len(shard)), layout.file_bytes(len(shard))
    try:
        with path.open("rb") as file:
            fits = file.read(len(header)) == header and path.stat().st_size == size
    except OSError as error:
        raise MrlspkError(f"cannot be read: {error.strerror}", path, "Run the same extraction again.") from error
    if not fits:
        raise MrlspkError("is not the shard that the key describes", path, "Run the same extraction again.")
    # numpy's maps keep a file open each: a store of a thousand shards would meet the limit of a process.
    mapped: NDArray[np.uint8] = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).numpy()
    values = mapped[len(header) :].view(little_endian(layout.dtype))
    return values.reshape(len(shard), layout.n_features)


def checksum_path(folder: Path, shard: Shard) -> Path:
    """Return the file that holds the SHA-256 of a shard."""
    return (folder / shard.name).with_suffix(".sha256")
