"""Stored pooled vectors, read by row."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.key import layout_of, read_key
from mrlspk.feature_store.layout import Layout, NumberType, Shard
from mrlspk.feature_store.shards import map_shard


@dataclass(frozen=True)
class FeatureStore:
    """A table of pooled vectors in a folder; which row is what, the maker of the store says.

    Attributes:
        folder: Of the shards.
        key: Everything that the vectors depend on.
        n_rows: Vectors.
        n_features: Values of each.
        dtype: Number type that they are stored in.
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
            MrlspkError: If a shard is gone or is not what it was.
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
    """Return the store in a folder; its shards must be there, what they hold is checked by the extraction alone.

    Raises:
        MrlspkError: If there is no store, it is not complete, or its key is not the one that names the folder.
    """
    key = read_key(folder)
    layout = layout_of(key)
    shards = tuple(layout.shards)
    missing = [shard.name for shard in shards if not (folder / shard.name).is_file()]
    if missing:
        what = f"{len(missing)} of {len(shards)} shards are missing, the first is {missing[0]}"
        raise MrlspkError(what, folder, "Run the same extraction again: it goes on where it stopped.")
    return FeatureStore(folder, key, layout.n_rows, layout.n_features, layout.dtype, layout, shards)
