"""The part of a backend that every runtime of exported graphs shares."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError
from mrlspk.models.graph_metadata import GraphMetadata


class GraphBackend(ABC):
    """An exported graph as a `Backend`; each call uses one thread, and any number of threads may call at once.

    Args:
        metadata: Of the graph.
    """

    def __init__(self, metadata: GraphMetadata) -> None:
        self.metadata = metadata

    @property
    def dims(self) -> tuple[int, ...]:
        """The prefix widths that the model was trained for, rising."""
        return self.metadata.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.metadata.dims[-1]

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms."""
        return self.metadata.sample_rate

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self.metadata.min_samples

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the architecture and the weights that the graph was exported from."""
        return self.metadata.fingerprint

    @property
    @abstractmethod
    def runtime(self) -> Mapping[str, str]:
        """The version of the library, the type of the device and the precision."""

    @property
    def concurrency(self) -> int:
        """The processors that this process may use."""
        return usable_processors()

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) to (batch, embed_dim), not of unit length.

        Raises:
            UsageError: If they have fewer than `min_samples` samples.
        """
        if waveforms.shape[1] < self.min_samples:
            raise UsageError(f"expected at least {self.min_samples} samples, got {waveforms.shape[1]}")
        return self._run(np.ascontiguousarray(waveforms, np.float32))

    @abstractmethod
    def _run(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples), contiguous, to (batch, embed_dim)."""


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
