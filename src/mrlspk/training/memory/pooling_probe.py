"""The pass that stores vectors of a frozen network: all that a run that trains the head alone does with crops."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mrlspk.config import Config
from mrlspk.feature_store.key import Precision
from mrlspk.feature_store.pooling import pooling_function
from mrlspk.models.encoder import Encoder


class PoolingProbe:
    """Front end, backbone and pooling of random waveforms, without gradients; the vectors are brought to the CPU.

    Args:
        encoder: On its device; put in evaluation mode.
        precision: Of the network.
        n_samples: Length of a crop.
    """

    def __init__(self, encoder: Encoder, *, precision: Precision, n_samples: int) -> None:
        self.encoder, self.n_samples = encoder, n_samples
        self._pool = pooling_function(encoder, precision=precision)
        self._crops = torch.empty(0, n_samples)

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return next(self.encoder.parameters()).device

    def take(self, batch_size: int) -> None:
        """Bring ``batch_size`` random crops to the device and pool them.

        Raises:
            OutOfMemoryError: If the device has no room for it.
        """
        if len(self._crops) != batch_size:
            self._crops = 0.1 * torch.randn(batch_size, self.n_samples)
        self._pool(self._crops)

    def begin(self, batch_size: int) -> None:
        """Do a first pass, in which kernels are loaded and chosen."""
        self.take(batch_size)

    def forget(self) -> None:
        """Drop the crops: a pass leaves nothing else."""
        self._crops = torch.empty(0, self.n_samples)

    def resident(self) -> Iterator[Tensor]:
        """Yield parameters and buffers."""
        yield from self.encoder.parameters()
        yield from self.encoder.buffers()

    @contextmanager
    def between_phases(self, note: Callable[[], None]) -> Iterator[None]:  # noqa: ARG002 - a pass is one phase
        """Call ``note`` never."""
        yield


def build_pooling_probe(config: Config, encoder: Encoder, *, device: torch.device) -> PoolingProbe:
    """Return the pass of a run of ``config`` over its crops, on a device."""
    precision, data = config.hardware.precision, config.data
    if precision == "fp16" and device.type == "cpu":
        precision = "bf16"  # values of the same size, and every CPU has them
    n_samples = round(data.chunk_duration * data.sample_rate)
    return PoolingProbe(encoder.to(device), precision=precision, n_samples=n_samples)
