"""A training step on random waveforms: what a run does to memory, without its corpus."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mrlspk.config import Config
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import Encoder
from mrlspk.training.fit import is_frozen, take_step, wrap
from mrlspk.training.modules import TrainedModule
from mrlspk.training.network_module import build_network_module
from mrlspk.training.optimiser import build_optimiser


class ProbeStep:
    """Forward, backward and optimiser step of a run at any batch size.

    Args:
        fabric: Whose device and precision hold.
        module: The encoder and its loss; the frozen parts have no gradient.
        optimiser: Of that module.
        n_samples: Length of a crop.
        crops_per_speaker: Crops of one speaker side by side in a batch.
        n_speakers: Number of classes.
        max_grad_norm: Clip to it; None for no clipping.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: TrainedModule,
        optimiser: Any,
        *,
        n_samples: int,
        crops_per_speaker: int,
        n_speakers: int,
        max_grad_norm: float | None,
    ) -> None:
        self.fabric, self.module = fabric, module
        self.wrapped, self.optimiser = wrap(fabric, module, optimiser)
        self.n_samples, self.crops_per_speaker = n_samples, crops_per_speaker
        self.n_speakers, self.max_grad_norm = n_speakers, max_grad_norm

    def take(self, batch_size: int) -> None:
        """Do one optimiser step on ``batch_size`` random crops."""
        device = self.fabric.device
        waveform = 0.1 * torch.randn(batch_size, self.n_samples, device=device)
        speaker_index = torch.arange(batch_size, device=device) // self.crops_per_speaker % self.n_speakers
        group = [(waveform, speaker_index)]
        take_step(self.fabric, self.wrapped, self.optimiser, group, max_grad_norm=self.max_grad_norm)

    def forget(self) -> None:
        """Drop the gradients of the last step, or of one that failed half-way."""
        self.optimiser.zero_grad(set_to_none=True)

    def resident(self) -> Iterator[Tensor]:
        """Yield what stays in memory between steps: parameters, buffers and the optimiser's states."""
        yield from self.module.parameters()
        yield from self.module.buffers()
        for state in self.optimiser.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))

    @contextmanager
    def between_phases(self, note: Callable[[], None]) -> Iterator[None]:
        """Call ``note`` in each step where the encoder is left for the loss, and where the backward pass enters it."""

        def mark(_encoder: Encoder, _waveform: object, embedding: Tensor) -> None:
            note()
            embedding.register_hook(lambda _gradient: note())  # type: ignore[no-untyped-call]

        hook = self.module.encoder.register_forward_hook(mark)
        try:
            yield
        finally:
            hook.remove()


def build_probe_step(config: Config, fabric: Fabric, encoder: Encoder, *, n_speakers: int) -> ProbeStep:
    """Return the step that a run of ``config`` does once all that it ever trains is trained."""
    dims, weights = config.model.dims_in_loss, config.model.weights
    criterion = build_loss(config.loss, dims=dims, weights=weights, n_speakers=n_speakers)
    module = build_network_module(config, encoder, criterion)
    module.set_mode(backbone_frozen=is_frozen(config, config.training.num_epochs - 1))
    data = config.data
    return ProbeStep(
        fabric,
        module,
        build_optimiser(config, encoder, criterion),
        n_samples=round(data.chunk_duration * data.sample_rate),
        crops_per_speaker=data.utterances_per_speaker,
        n_speakers=n_speakers,
        max_grad_norm=config.training.max_grad_norm,
    )
