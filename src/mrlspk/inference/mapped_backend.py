"""Run a model with a head or a transform after it."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlspk.inference.backend import Backend
from mrlspk.inference.embedding_map import EmbeddingMap


class MappedBackend:
    """A model as a `Backend` whose embeddings are mapped to new ones.

    Args:
        base: The model.
        map: Of its embeddings.
    """

    def __init__(self, base: Backend, map: EmbeddingMap) -> None:
        self.base, self.map = base, map

    @property
    def dims(self) -> tuple[int, ...]:
        """The prefix widths of the map, rising."""
        return self.map.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.map.embed_dim

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms."""
        return self.base.sample_rate

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self.base.min_samples

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the fingerprint of the base model and of the map."""
        return self.map.fingerprint_on(self.base.fingerprint)

    @property
    def runtime(self) -> Mapping[str, str]:
        """Of the base model."""
        return self.base.runtime

    @property
    def concurrency(self) -> int:
        """Of the base model."""
        return self.base.concurrency

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) in [-1, 1] to (batch, embed_dim), not of unit length; not finite without a direction."""
        with np.errstate(invalid="ignore"):
            return self.map.apply(self.base.embed(waveforms))
