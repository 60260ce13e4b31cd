"""Join the stored vectors of two corpora, as if they had been stored as one."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.feature_store.shards import NumberType
from mrlspk.training.head.batches import StoredRows


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """Vectors of a corpus and, in each pass and speed behind them, those of another.

    Attributes:
        parts: Stored vectors of both.
        sizes: Utterances of both.
    """

    parts: tuple[StoredRows, StoredRows]
    sizes: tuple[int, int]

    @property
    def n_rows(self) -> int:
        """Number of stored vectors."""
        return sum(part.n_rows for part in self.parts)

    @property
    def n_features(self) -> int:
        """Values per vector."""
        return self.parts[0].n_features

    @property
    def dtype(self) -> NumberType:
        """Number type of the stored values."""
        return self.parts[0].dtype

    @property
    def nbytes(self) -> int:
        """Size of all vectors."""
        return sum(part.nbytes for part in self.parts)

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the vectors of rows (n,), in any order, as float32 (n, n_features) on the CPU."""
        n_first, n_second = self.sizes
        turn, place = np.divmod(indices, n_first + n_second)  # turn: a pass at a speed
        is_second = place >= n_first
        own = np.where(is_second, turn * n_second + place - n_first, turn * n_first + place)
        found = torch.empty(len(indices), self.n_features)
        for part, mask in zip(self.parts, (~is_second, is_second), strict=True):
            if mask.any():
                found[torch.from_numpy(mask)] = part.rows(own[mask])
        return found
