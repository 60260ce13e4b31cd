"""A table of vectors in memory that stands for a store on disk."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Vectors (n, features)."""

    values: Tensor

    @property
    def n_rows(self):
        return len(self.values)

    def rows(self, indices):
        return self.values[torch.from_numpy(indices)]
