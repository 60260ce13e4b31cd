"""Measure the memory of one pass over random waveforms: the probe protocol, and the probe of a frozen backbone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from mrlspk.config import Config
from mrlspk.feature_store.key import Precision
from mrlspk.feature_store.pooling import pooling_function
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.models.encoder import Encoder
from mrlspk.training.hardware import set_tf32
from mrlspk.training.memory.train_probe import build_train_probe
from mrlspk.training.warm_start import build_encoder_from, find_base_model


class Probe(Protocol):
    """One pass of a run over random waveforms, at any batch size: a training step, or pooling by a frozen network."""

    @property
    def device(self) -> torch.device:
        """The device that it runs on."""

    def take(self, batch_size: int) -> None:
        """Run one pass over ``batch_size`` crops."""

    def begin(self, batch_size: int) -> None:
        """Run the first passes at a batch size: they allocate what later passes reuse."""

    def forget(self) -> None:
        """Free what the last pass left, also after a pass that failed."""

    def resident(self) -> Iterator[Tensor]:
        """Yield the tensors that stay in memory between passes."""


class PoolingProbe:
    """Pool random waveforms with a frozen network, without gradients; the vectors are copied to the CPU.

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
        """The device of the encoder."""
        return next(self.encoder.parameters()).device

    def take(self, batch_size: int) -> None:
        """Copy ``batch_size`` random crops to the device and pool them.

        Raises:
            OutOfMemoryError: If they do not fit.
        """
        if len(self._crops) != batch_size:
            self._crops = 0.1 * torch.randn(batch_size, self.n_samples)
        self._pool(self._crops)

    def begin(self, batch_size: int) -> None:
        """Run a first pass, which loads and chooses kernels."""
        self.take(batch_size)

    def forget(self) -> None:
        """Free the crops; a pass leaves nothing else."""
        self._crops = torch.empty(0, self.n_samples)

    def resident(self) -> Iterator[Tensor]:
        """Yield parameters and buffers."""
        yield from self.encoder.parameters()
        yield from self.encoder.buffers()


def build_pooling_probe(config: Config, encoder: Encoder, *, device: torch.device) -> PoolingProbe:
    """Return the pass that stores pooled vectors in a run of ``config``."""
    precision, data = config.hardware.precision, config.data
    if precision == "fp16" and device.type == "cpu":
        precision = "bf16"  # values of the same size, and every CPU has them
    n_samples = round(data.chunk_duration * data.sample_rate)
    return PoolingProbe(encoder.to(device), precision=precision, n_samples=n_samples)


def build_probe(
    config: Config, device: torch.device, *, n_speakers: int, n_processes: int, cache_dir: Path, mirror: str | None
) -> Probe:
    """Set torch up as for a run of ``config``, and return the pass that the run repeats, in this process alone.

    Args:
        config: Of the run; its batch size is not used.
        device: A GPU to measure on, or the CPU to predict on.
        n_speakers: Classes of the loss.
        n_processes: Processes that share the work.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.

    Raises:
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    torch.use_deterministic_algorithms(config.deterministic)
    set_tf32(allowed=config.hardware.tf32)
    origin = find_base_model(config, cache_dir=cache_dir, mirror=mirror)
    encoder = build_encoder_from(config, load_checkpoint(origin) if origin else None)[0]
    if config.trains_head_alone:
        return build_pooling_probe(config, encoder, device=device)
    return build_train_probe(config, encoder, device=device, n_speakers=n_speakers, n_processes=n_processes)
