"""Map the embeddings of any model to new ones: what a head or a transform on top of it computes."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """An affine map of embeddings at unit length.

    Attributes:
        weight: (width of the new embeddings, width of the model's).
        bias: (width of the new embeddings,).
        dims: The prefix widths of the new embeddings, rising; the last is the full width.
    """

    weight: Array
    bias: Array
    dims: tuple[int, ...]

    @property
    def embed_dim(self) -> int:
        """The full width of the new embeddings."""
        return len(self.bias)

    @property
    def in_features(self) -> int:
        """The width of the embeddings that it maps."""
        return int(self.weight.shape[1])

    def apply(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map (n, in_features) of any length but zero to (n, embed_dim), not of unit length."""
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        moved: Array = unit @ self.weight.T + self.bias
        return moved.astype(np.float32)

    def fingerprint_on(self, model: str) -> str:
        """Return the fingerprint of a model with this map after it, from the model's own; the widths do not enter."""
        digest = hashlib.sha256(model.encode())
        for values in (self.weight, self.bias):
            digest.update(values.astype("<f8").tobytes())
        return digest.hexdigest()
