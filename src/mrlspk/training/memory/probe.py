"""Build the pass that a run repeats, over random waveforms: a training step, or pooling by a frozen network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric.plugins.precision.amp import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.errors import CheckpointError
from mrlspk.feature_store.key import Precision
from mrlspk.feature_store.pooling import pooling_function
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.losses.build import build_loss
from mrlspk.models.headed_model import HeadedModel
from mrlspk.training.hardware import build_acceleration, fabric_of_one, fixed_shapes, set_tf32
from mrlspk.training.network.module import build_network_module
from mrlspk.training.optimiser import build_optimiser
from mrlspk.training.start_model import find_start
from mrlspk.training.step import Batch, Stepper, wrap
from mrlspk.training.trained_module import is_frozen
from mrlspk.training.warm_start import build_encoder_from, find_base_model


@dataclass
class Probe:
    """One pass of a run over random waveforms, at any batch size.

    Attributes:
        run: Runs the pass over waveforms (batch, samples) on the device.
        device: The device that it runs on.
        n_samples: Length of a crop.
        module: The network; with its loss, if it is trained.
        optimiser: None if nothing is trained.
        buckets: What else stays in memory between passes.
        compiled: Whether parts are compiled, again for every batch size, as in a run.
        searched: Whether cuDNN searches for the fastest kernels for the shape of a batch.
    """

    run: Callable[[Tensor], object]
    device: torch.device
    n_samples: int
    module: nn.Module
    optimiser: Optimizer | None = None
    buckets: Sequence[Tensor] = ()
    compiled: bool = False
    searched: bool = False

    def take(self, batch_size: int) -> None:
        """Run one pass over ``batch_size`` random crops.

        Raises:
            OutOfMemoryError: If the batch does not fit.
        """
        with fixed_shapes(searched=self.searched):
            self.run(0.1 * torch.randn(batch_size, self.n_samples, device=self.device))

    def forget(self) -> None:
        """Free the gradients of the last pass, also of one that failed."""
        self.module.zero_grad()

    def resident(self) -> Iterator[Tensor]:
        """Yield the tensors that stay in memory between passes: parameters, buffers and optimiser states."""
        yield from self.module.parameters()
        yield from self.module.buffers()
        yield from self.buckets
        for state in self.optimiser.state.values() if self.optimiser else ():
            yield from (value for value in state.values() if isinstance(value, Tensor))


class WholeBatches(Stepper):
    """Take optimiser steps, and do not split a batch when memory runs out."""

    def _split_batches(self, group: Sequence[Batch]) -> None:
        raise self._out_of_memory(len(group[0][1]), "a probe does not split batches")

    def _out_of_memory(self, batch: int, why: str) -> Exception:
        return torch.OutOfMemoryError(f"out of memory at {batch} crops: {why}")


def build_probe(
    config: Config,
    device: torch.device,
    *,
    n_speakers: int,
    n_processes: int,
    cache_dir: Path | None,
    mirror: str | None,
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
    if start := find_start(config, cache_dir=cache_dir, mirror=mirror):
        what = "is run on the CPU, and a head on its embeddings takes little memory: there is nothing to measure"
        raise CheckpointError(what, start.file.path, "Train without a profile.")
    origin = find_base_model(config, cache_dir=cache_dir, mirror=mirror)
    encoder = build_encoder_from(config, load_checkpoint(origin) if origin else None)[0]
    if config.trains_head_alone:
        return build_pooling_probe(config, encoder, device=device)
    return build_train_probe(config, encoder, device=device, n_speakers=n_speakers, n_processes=n_processes)


def build_pooling_probe(config: Config, encoder: HeadedModel, *, device: torch.device) -> Probe:
    """Return the pass that stores pooled vectors in a run of ``config``: without gradients, and copied to the CPU."""
    pool = pooling_function(encoder.to(device), precision=_precision(config, device))
    return Probe(pool, device, _n_samples(config), encoder)


def build_train_probe(
    config: Config, encoder: HeadedModel, *, device: torch.device, n_speakers: int, n_processes: int = 1
) -> Probe:
    """Return the step of a run of ``config`` in its last epoch, when everything that it ever trains is trained.

    It is of this process alone: other processes may try other batches at the same time. With several, each holds its
    gradients twice: the second copy is in the buckets of all_reduce.
    """
    dims, weights = config.model.dims_in_loss, config.model.weights
    criterion = build_loss(config.loss, dims=dims, weights=weights, n_speakers=n_speakers)
    module = build_network_module(config, encoder, criterion)
    on_gpu = device.type == "cuda"
    hardware = config.hardware.model_copy(update={"compile": config.hardware.compile and on_gpu})
    build_acceleration(hardware, module.encoder, device)
    module.set_mode(backbone_frozen=is_frozen(config, config.training.epochs - 1))
    fabric = fabric_of_one(device, _precision(config, device))
    precision = fabric.strategy.precision
    if isinstance(precision, MixedPrecision):
        precision.scaler = None  # it takes no memory, and its skipped steps would leave the optimiser without states
    wrapped, optimiser = wrap(fabric, module, build_optimiser(config, module.encoder, criterion))
    stepper = WholeBatches(fabric, wrapped, optimiser, config.training.max_grad_norm)

    def step(waveform: Tensor) -> None:
        crop = torch.arange(len(waveform), device=waveform.device)
        stepper.step([(waveform, crop // config.data.utterances_per_speaker % n_speakers)])

    return Probe(
        step,
        fabric.device,
        _n_samples(config),
        module,
        optimiser,
        buckets=[torch.empty_like(each) for each in module.parameters() if each.requires_grad and n_processes > 1],
        compiled=hardware.compile,
        searched=on_gpu and not config.deterministic,
    )


def _n_samples(config: Config) -> int:
    return round(config.data.chunk_duration * config.data.sample_rate)


def _precision(config: Config, device: torch.device) -> Precision:
    """Return the precision of the network; not every CPU has fp16, and bf16 has values of the same size."""
    return "bf16" if config.hardware.precision == "fp16" and device.type == "cpu" else config.hardware.precision
