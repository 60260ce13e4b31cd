"""Draw the effects of a crop from its generator, and apply them on the decoding process or on the device."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mrlspk.data.augmentation.effects import Effects, apply_effects
from mrlspk.data.augmentation.feature_masks import FeatureMasks
from mrlspk.data.augmentation.on_device import apply_to_batch, as_tensors


class AugmentationStep(Protocol):
    """One kind of augmentation, applied to a share of the crops."""

    @property
    def probability(self) -> float:
        """Share of the crops, in [0, 1]."""

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:
        """Return the effects of a crop of ``n_samples`` with this one, which ``rng`` draws."""


@dataclass(frozen=True)
class Augmentation:
    """Steps drawn one after another, each with its probability, and masks of the features.

    What is drawn depends on the generator alone: not on the crop, nor on where the effects are applied.

    Attributes:
        steps: In the order of the draws.
        masks: Of the features; None for none.
        on_device: Apply rooms, noise and gain to whole batches in `finish`. The crops that pass through a codec are
            finished in `prepare`.
    """

    steps: tuple[AugmentationStep, ...]
    masks: FeatureMasks | None = None
    on_device: bool = False

    def __call__(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the augmented waveform (samples,)."""
        return _applied(waveform, self.draw(waveform.numel(), rng))

    def on(self, device: torch.device) -> "Augmentation":
        """Return the augmentation that finishes its crops on a GPU; for other devices the decoding processes do."""
        return replace(self, on_device=device.type == "cuda")

    def draw(self, n_samples: int, rng: np.random.Generator) -> Effects:
        """Return the effects of a crop of ``n_samples``."""
        effects = Effects()
        for step in self.steps:
            if rng.random() < step.probability:
                effects = step.add(effects, n_samples, rng)
        return effects

    def prepare(self, waveform: Tensor, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return (samples,) as far as a decoding process augments it, and what `finish` and the encoder need beside it.

        Tensors have the same shapes for every crop: a batch stacks them. Feature masks are the last two.
        """
        effects = self.draw(waveform.numel(), rng)
        masks = self.masks.draw(rng) if self.masks else ()
        if not self.on_device:
            return _applied(waveform, effects), *masks
        if effects.transmissions:
            waveform, effects = _applied(waveform, effects), Effects()
        return waveform, *as_tensors(effects, waveform.numel()), *masks

    def finish(self, waveforms: Tensor, *extras: Tensor) -> Tensor:
        """Return (batch, samples) augmented to the end, on their device; ``extras`` are stacked by `prepare`."""
        return apply_to_batch(waveforms, *extras[:3]) if self.on_device and extras else waveforms

    def masks_in(self, extras: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Return the feature masks among the extras of a batch: of bands and of frames."""
        return (extras[-2], extras[-1]) if self.masks and extras else None


def _applied(waveform: Tensor, effects: Effects) -> Tensor:
    return torch.from_numpy(apply_effects(waveform.numpy(), effects))
