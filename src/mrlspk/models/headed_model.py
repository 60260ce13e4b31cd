"""A model that ends in a Matryoshka head, whatever makes the values that the head reads."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, fold_head, rotate_head


class HeadedModel(nn.Module):
    """Map waveforms to pooled values, and these to embeddings by a head.

    Attributes:
        head: Maps pooled values to the embedding. A subclass sets it after its other parts, whose order in the state
            dict is that of training and of `model_fingerprint`.
        dims: The prefix widths that it was trained for, rising; the last is the full width.
    """

    head: MatryoshkaHead
    dims: tuple[int, ...]

    @property
    @abstractmethod
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""

    @property
    def concurrency(self) -> int:
        """Threads that may call `pooled` at once; 1: a call uses all processors, or a GPU."""
        return 1

    @abstractmethod
    def pooled(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to pooled values (batch, pooled_dim), in float32."""

    @abstractmethod
    def with_head(self, head: MatryoshkaHead, dims: tuple[int, ...]) -> Self:
        """Return a model of the same parts with another head."""

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.head.linear.out_features

    @property
    def pooled_dim(self) -> int:
        """The number of pooled values that the head reads."""
        return self.head.linear.in_features

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    def rotated(
        self, matrix: NDArray[np.float64], dims: tuple[int, ...], *, mean: NDArray[np.float64] | None = None
    ) -> Self:
        """Return a model of the same parts whose embeddings are ``matrix`` (embed_dim, embed_dim) times these.

        A ``mean`` (embed_dim,) is subtracted before the product.
        """
        return self.with_head(rotate_head(self.head, matrix, mean), dims)

    def mean_pooled(self, vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the pooled values of a recording from those of its windows.

        It is their mean as it is: unit length belongs to embeddings, and the head comes first.
        """
        mean: NDArray[np.float32] = np.mean(vectors, axis=0)
        return mean

    def copy_head(self) -> MatryoshkaHead:
        """Return a copy of the head; unlike a new head, it draws no random numbers."""
        return deepcopy(self.head)

    def load_head(self, state: Mapping[str, Any]) -> None:
        """Load the state dict of a head of the same widths."""
        self.head.load_state_dict(state)

    def folded_head(self) -> AffineMap:
        """Return what the head computes in evaluation mode as one affine map of the pooled values, in float64."""
        return fold_head(self.head)

    def linear_parameters(self) -> dict[str, nn.Parameter]:
        """Return ``weight`` and ``bias`` of the linear layer of the head."""
        return dict(self.head.linear.named_parameters())

    def project(self, pooled: Tensor) -> Tensor:
        """Map pooled values (batch, pooled_dim) to (batch, embed_dim) by the head, in float32."""
        with torch.autocast(pooled.device.type, enabled=False):
            embedding: Tensor = self.head(pooled)
        return embedding

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to (batch, embed_dim), not yet of unit length, in float32."""
        return self.project(self.pooled(waveform))
