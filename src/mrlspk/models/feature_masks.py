"""Mask bands and frames of log-mel features."""

import torch
from torch import Tensor

type Masks = tuple[Tensor, Tensor]
"""Of bands and of frames, each (batch, masks, 2): the place of each mask in [0, 1), and its width, 0 for none."""


def mask_features(features: Tensor, masks: Masks) -> Tensor:
    """Return log-mel features (batch, mels, frames) with zeros, the mean of each band, where a mask lies.

    A mask at place 0 begins with the first band or frame, one near 1 ends with the last (SpecAugment, Park et al. 2019,
    arXiv:1904.08779).
    """
    bands, frames = (_covered(each, size) for each, size in zip(masks, features.shape[1:], strict=True))
    return features.masked_fill(bands[:, :, None] | frames[:, None, :], 0.0)


def _covered(masks: Tensor, size: int) -> Tensor:
    """Return which of ``size`` bands or frames lie below a mask, (batch, size)."""
    places, widths = masks.unsqueeze(-1).unbind(2)
    widths = widths.clamp(max=size)
    starts = (places * (size - widths + 1)).floor()
    positions = torch.arange(size, device=masks.device)
    return ((positions >= starts) & (positions < starts + widths)).any(1)
