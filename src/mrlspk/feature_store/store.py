"""Open a feature store and read its vectors by row; prepare the folder of a store for writing."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.key import KEY_FILE, Key, layout_of, read_key, write_key
from mrlspk.feature_store.shards import Layout, NumberType, Shard, ShardState, inspect_shard, map_shard
from mrlspk.files import one_at_a_time, remove_file
from mrlspk.partial_files import remove_left_files

log = logging.getLogger("mrlspk.training")

UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class FeatureStore:
    """A table of pooled vectors in a folder; the code that made the store knows what each row is.

    Attributes:
        folder: Folder of the shards.
        key: Everything that the vectors depend on.
        n_rows: Number of vectors.
        n_features: Values per vector.
        dtype: Number type of the stored values.
    """

    folder: Path
    key: dict[str, Any]
    n_rows: int
    n_features: int
    dtype: NumberType
    _layout: Layout = field(repr=False)
    _shards: tuple[Shard, ...] = field(repr=False)
    _mapped: dict[int, NDArray[np.floating]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        """Size of all shards on disk."""
        return self._layout.nbytes

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the vectors of rows (n,), in any order, as float32 (n, n_features) on the CPU.

        Raises:
            IndexError: If there is no such row.
            MrlspkError: If a shard is gone or does not match the key.
        """
        if len(indices) and not (indices.min() >= 0 and indices.max() < self.n_rows):
            raise IndexError(f"rows are 0 to {self.n_rows - 1}, got {indices.min()} to {indices.max()}")
        found = np.empty((len(indices), self.n_features), self.dtype)
        order = np.argsort(indices, kind="stable")
        numbers, starts = np.unique(indices[order] // self._layout.rows_per_shard, return_index=True)
        for number, places in zip(numbers.tolist(), np.split(order, starts[1:]), strict=False):
            found[places] = self._shard(number)[indices[places] - self._shards[number].start]
        return torch.from_numpy(found).float()

    def _shard(self, number: int) -> NDArray[np.floating]:
        """Return a shard (rows, n_features), mapped at its first use."""
        if number not in self._mapped:
            self._mapped[number] = map_shard(self.folder, self._shards[number], layout=self._layout)
        return self._mapped[number]


def open_store(folder: Path) -> FeatureStore:
    """Open the store in a folder; all its shards must exist, only the extraction verifies their contents.

    Raises:
        MrlspkError: If there is no store, it is incomplete, or its key does not match the name of the folder.
    """
    key = read_key(folder)
    layout = layout_of(key)
    shards = tuple(layout.shards)
    missing = [shard.name for shard in shards if not (folder / shard.name).is_file()]
    if missing:
        what = f"{len(missing)} of {len(shards)} shards are missing, the first is {missing[0]}"
        raise MrlspkError(what, folder, "Run the same extraction again: it resumes where it stopped.")
    return FeatureStore(folder, key, layout.n_rows, layout.n_features, layout.dtype, layout, shards)


def lock_store(folder: Path) -> AbstractContextManager[None]:
    """Return the lock of a store; lock files are in a folder beside the stores."""
    return one_at_a_time(
        folder.parent / ".locks" / f"{folder.name}.lock",
        on_wait=lambda: log.warning("waiting for another process that writes %s", folder),
    )


def prepare_folder(folder: Path, key: Key) -> None:
    """Write the key to the folder, after removing partial files and all shards that belong to another key.

    Raises:
        MrlspkError: If the folder cannot be written.
    """
    remove_left_files(folder)
    fault = _key_fault(folder, key)
    if fault is None:
        return
    shards = list(folder.glob("shard-*"))
    if shards:
        log.warning("%s: all vectors are computed again", fault)
    for path in shards:
        remove_file(path)
    write_key(folder, key)


def check_visible(folder: Path) -> None:
    """Check that this process sees the folder that the first process prepared.

    Raises:
        MrlspkError: If it does not.
    """
    if not (folder / KEY_FILE).is_file():
        what = "the first process began a feature store here, and another process does not see it"
        raise MrlspkError(what, folder, "Set features.folder to a folder that all machines share.")


def find_missing(folder: Path, layout: Layout) -> list[Shard]:
    """Return the shards to compute: missing and damaged ones."""
    missing = []
    for shard in layout.shards:
        state = inspect_shard(folder, shard, layout=layout)
        if state.is_damage:
            log.warning("%s %s: its vectors are computed again", folder / shard.name, state.value)
        if state is not ShardState.COMPLETE:
            missing.append(shard)
    return missing


def check_room(folder: Path, layout: Layout, missing: Sequence[Shard]) -> None:
    """Log the size of a store, and check that the disk has room for its missing shards.

    Raises:
        MrlspkError: If it does not.
    """
    needed = sum(layout.file_bytes(len(shard)) for shard in missing)
    if missing:
        n_rows, size = sum(map(len, missing)), readable_size(needed)
        log.info("storing %d of %d vectors in %s: %s", n_rows, layout.n_rows, folder, size)
    free = shutil.disk_usage(folder).free
    if needed > free:
        lacking = readable_size(needed - free)
        what = f"needs {readable_size(needed)}, and {readable_size(free)} are free: {lacking} are missing"
        raise MrlspkError(what, folder, "Make room, take fewer crops or float16, or name a folder on another disk.")


def readable_size(n_bytes: int) -> str:
    """Return a number of bytes in a readable unit, rounded to a tenth."""
    unit = next((unit for unit in ("kB", "MB", "GB") if n_bytes < UNITS[unit] * 1000), "TB")
    return f"{n_bytes / UNITS[unit]:.1f} {unit}"


def _key_fault(folder: Path, key: Key) -> str | None:
    """Return what is wrong with the key of a folder; None if it is ``key``."""
    try:
        found = read_key(folder)
    except MrlspkError as error:
        return f"{error.where}: {error.what}"
    return None if found == key else f"{folder}: has another key"
