"""Draw masks of bands and frames of log-mel features."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureMasks:
    """Masks of SpecAugment (Park et al. 2019, arXiv:1904.08779), without its time warping.

    Attributes:
        probability: Share of the crops that are masked.
        n_band_masks: Masks over frequency.
        max_bands: Width of the widest.
        n_frame_masks: Masks over time.
        max_frames: Width of the widest.
    """

    probability: float
    n_band_masks: int
    max_bands: int
    n_frame_masks: int
    max_frames: int

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return masks of bands and of frames, each (masks, 2): its place in [0, 1), and its width, 0 for none."""
        is_masked = rng.random() < self.probability
        kinds = (self.n_band_masks, self.max_bands), (self.n_frame_masks, self.max_frames)
        bands, frames = (_draw(count, widest if is_masked else 0, rng) for count, widest in kinds)
        return bands, frames


def _draw(count: int, widest: int, rng: np.random.Generator) -> Tensor:
    places, widths = rng.random(count, dtype=np.float32), rng.integers(widest + 1, size=count)
    return torch.from_numpy(np.stack([places, widths.astype(np.float32)], axis=1))
