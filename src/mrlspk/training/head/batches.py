"""Load batches of stored pooled vectors, with the embeddings of a teacher."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.data.crops.sampler import RankBatches
from mrlspk.feature_store.shards import NumberType
from mrlspk.models.head_transforms import AffineMap

RESIDENT_SHARE = 0.5  # of a GPU's free memory that the vectors may take
BLOCK = 16_384  # vectors moved to the GPU at a time


class StoredRows(Protocol):
    """Vectors by row, such as a feature store."""

    @property
    def n_rows(self) -> int:
        """Number of stored vectors; rows from there on, if there are any, repeat them."""

    @property
    def n_features(self) -> int:
        """Values per vector."""

    @property
    def dtype(self) -> NumberType:
        """Number type of the stored values."""

    @property
    def nbytes(self) -> int:
        """Size of all vectors."""

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the vectors of rows (n,), in any order, as float32 (n, n_features) on the CPU."""


class Teacher:
    """Embeddings of the same crops from another model.

    Args:
        store: Its pooled vectors, in the rows of the batches.
        head: Maps them to embeddings.
    """

    def __init__(self, store: StoredRows, head: AffineMap) -> None:
        self._store = store
        self._weight, self._bias = head.weight.float(), head.bias.float()

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the embeddings (n, width of the teacher) of some rows."""
        return self._store.rows(indices) @ self._weight.T + self._bias


class StoredBatches:
    """An epoch of batches: pooled vectors (batch, in_features), classes (batch,) and, with a teacher, its embeddings.

    All vectors are kept on a GPU that has room for them.

    Args:
        store: The vectors.
        classes: (rows,) class of each row.
        batches: Rows of each batch of this process; its owner sets the epoch.
        device: Target device.
        teacher: Adds its embeddings; None for none.
    """

    def __init__(
        self,
        store: StoredRows,
        classes: NDArray[np.int64],
        batches: RankBatches,
        *,
        device: torch.device,
        teacher: Teacher | None = None,
    ) -> None:
        self._store, self._classes, self._batches = store, torch.from_numpy(classes), batches
        self._device, self._teacher = device, teacher
        self._resident = _on_device(store, device) if _fits(store, device) else None

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for keys in self._batches:
            yield self._batch(np.fromiter((key.index for key in keys), np.int64, len(keys)))

    def _pooled(self, rows: NDArray[np.int64]) -> Tensor:
        if self._resident is None:
            return self._store.rows(rows)
        return self._resident[torch.from_numpy(rows % len(self._resident)).to(self._device)].float()

    def _batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        indices = torch.from_numpy(rows)
        batch = self._pooled(rows), self._classes[indices]
        return batch if self._teacher is None else (*batch, self._teacher.rows(rows))


def _fits(store: StoredRows, device: torch.device) -> bool:
    return device.type == "cuda" and store.nbytes < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]


def _on_device(store: StoredRows, device: torch.device) -> Tensor:
    """Return all vectors (rows, in_features) on the device, in their stored dtype."""
    kind = torch.float16 if store.dtype == "float16" else torch.float32
    vectors = torch.empty(store.n_rows, store.n_features, dtype=kind, device=device)
    for start in range(0, store.n_rows, BLOCK):
        stop = min(start + BLOCK, store.n_rows)
        vectors[start:stop] = store.rows(np.arange(start, stop)).to(device, kind)
    return vectors
