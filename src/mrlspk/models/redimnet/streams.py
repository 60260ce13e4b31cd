"""The 1-D streams of ReDimNet and ReDimNet2: how they change shape, and how they are mixed."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class To1d(nn.Module):
    """(batch, channels, bands, frames) to (batch, bands x channels, frames)."""

    def forward(self, x: Tensor) -> Tensor:
        """Fold channels into bands."""
        return x.transpose(1, 2).flatten(1, 2)


class To2d(nn.Module):
    """(batch, bands x channels, frames) to (batch, channels, bands, frames)."""

    def __init__(self, n_bands: int, channels: int) -> None:
        super().__init__()
        self.n_bands, self.channels = n_bands, channels

    def forward(self, x: Tensor) -> Tensor:
        """Unfold channels from bands."""
        batch, _, frames = x.shape
        return x.view(batch, self.n_bands, self.channels, frames).transpose(1, 2)


class WeightedSum(nn.Module):
    """Sum of equal streams (batch, channels, frames), weighted per channel by a softmax over the streams."""

    def __init__(self, n_streams: int, channels: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, n_streams, channels, 1), requires_grad=n_streams > 1)

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Mix the streams."""
        if len(streams) == 1:
            return streams[0]
        dtype = streams[-1].dtype  # under autocast a stage ends in half precision; the sum stays in it, not promoted
        weights = functional.softmax(self.w, 1).to(dtype)
        mixed = weights[:, 0] * streams[0].to(dtype)
        for index, stream in enumerate(streams[1:], start=1):
            mixed = torch.addcmul(mixed, weights[:, index], stream.to(dtype))
        return mixed
