"""Probe a training step on random waveforms."""

from collections.abc import Iterator, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.errors import MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import Encoder
from mrlspk.training.hardware import build_acceleration, fabric_of_one, fixed_shapes
from mrlspk.training.network.module import build_network_module
from mrlspk.training.optimiser import build_optimiser
from mrlspk.training.step import Batch, Stepper, wrap
from mrlspk.training.trained_module import TrainedModule, is_frozen

FIRST_STEPS = 24  # after which a loss scale of fp16 has long been halved to where gradients are finite


class WholeBatches(Stepper):
    """Take optimiser steps, and do not split a batch when memory runs out."""

    def _split_batches(self, group: Sequence[Batch]) -> None:
        raise self._out_of_memory(len(group[0][1]), "a probe does not split batches")

    def _out_of_memory(self, batch: int, why: str) -> Exception:
        return torch.OutOfMemoryError(f"out of memory at {batch} crops: {why}")


class TrainProbe:
    """Forward pass, backward pass and optimiser step of a run, at any batch size.

    Args:
        fabric: Of one process; sets device and precision.
        module: The encoder and its loss; frozen parts have no gradient.
        optimiser: Of that module.
        n_samples: Length of a crop.
        crops_per_speaker: Crops of one speaker side by side in a batch.
        n_speakers: Number of classes.
        max_grad_norm: Clip to it; None for no clipping.
        n_processes: Processes that share the work. With several, each holds its gradients twice: the second copy is
            in the buckets of all_reduce.
        compiled: Whether parts are compiled, again for every batch size, as in a run.
        searched: Whether cuDNN searches for the fastest kernels for the shape of a batch.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: TrainedModule,
        optimiser: Optimizer,
        *,
        n_samples: int,
        crops_per_speaker: int,
        n_speakers: int,
        max_grad_norm: float | None,
        n_processes: int = 1,
        compiled: bool = False,
        searched: bool = False,
    ) -> None:
        self.fabric, self.module, self.compiled, self.searched = fabric, module, compiled, searched
        wrapped, self.optimiser = wrap(fabric, module, optimiser)
        self._stepper = WholeBatches(fabric, wrapped, self.optimiser, max_grad_norm)
        self.n_samples, self.crops_per_speaker, self.n_speakers = n_samples, crops_per_speaker, n_speakers
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._buckets = [torch.empty_like(parameter) for parameter in trained] if n_processes > 1 else []
        self._has_stepped = False

    @property
    def device(self) -> torch.device:
        """The device that it runs on."""
        return self.fabric.device

    def take(self, batch_size: int) -> None:
        """Take one optimiser step on ``batch_size`` random crops.

        Raises:
            OutOfMemoryError: If the batch does not fit.
        """
        waveform = 0.1 * torch.randn(batch_size, self.n_samples, device=self.device)
        speaker_index = torch.arange(batch_size, device=self.device) // self.crops_per_speaker % self.n_speakers
        with fixed_shapes(searched=self.searched):
            self._stepper.step([(waveform, speaker_index)])
        self._has_stepped = True

    def begin(self, batch_size: int) -> None:
        """Take the first steps at a batch size; after them the optimiser has its states.

        With fp16 the scaled loss overflows at first, and the optimiser skips steps until the scale is low enough.

        Raises:
            MrlspkError: If no step has a finite gradient.
        """
        if self.compiled:
            torch.compiler.reset()
        for _ in range(FIRST_STEPS):
            self.take(batch_size)
            if self.optimiser.state:
                self.take(batch_size)
                return
        raise MrlspkError(
            f"none of {FIRST_STEPS} steps on random waveforms had a finite gradient",
            "hardware.precision",
            "Take bf16 or fp32.",
        )

    def forget(self) -> None:
        """Free the gradients of the last step, also of a failed one, and reset its gradient scaler."""
        self.optimiser.zero_grad(set_to_none=True)
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        if scaler is not None and self._has_stepped:
            scaler.update(scaler.get_scale())

    def resident(self) -> Iterator[Tensor]:
        """Yield the tensors that stay in memory between steps: parameters, buffers and optimiser states."""
        yield from self.module.parameters()
        yield from self.module.buffers()
        yield from self._buckets
        for state in self.optimiser.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


def build_train_probe(
    config: Config, encoder: Encoder, *, device: torch.device, n_speakers: int, n_processes: int = 1
) -> TrainProbe:
    """Return the step of a run of ``config`` in its last epoch, when everything that it ever trains is trained.

    It is of this process alone: other processes may try other batches at the same time.
    """
    dims, weights = config.model.dims_in_loss, config.model.weights
    criterion = build_loss(config.loss, dims=dims, weights=weights, n_speakers=n_speakers)
    module = build_network_module(config, encoder, criterion)
    on_gpu = device.type == "cuda"
    hardware = config.hardware.model_copy(update={"compile": config.hardware.compile and on_gpu})
    build_acceleration(hardware, encoder, device)
    module.set_mode(backbone_frozen=is_frozen(config, config.training.num_epochs - 1))
    data = config.data
    return TrainProbe(
        _build_fabric(config, device),
        module,
        build_optimiser(config, encoder, criterion),
        n_samples=round(data.chunk_duration * data.sample_rate),
        crops_per_speaker=data.utterances_per_speaker,
        n_speakers=n_speakers,
        max_grad_norm=config.training.max_grad_norm,
        n_processes=n_processes,
        compiled=hardware.compile,
        searched=on_gpu and not config.deterministic,
    )


def _build_fabric(config: Config, device: torch.device) -> Fabric:
    """Return Fabric on one device, without the other processes."""
    if device.type == "cuda":
        return fabric_of_one(device, config.hardware.precision)
    precision = "bf16" if config.hardware.precision == "fp16" else config.hardware.precision  # of the same size
    return fabric_of_one(torch.device("cpu"), precision)
