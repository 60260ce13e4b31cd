"""2-D and 1-D blocks and streams of ReDimNet; parameter names are those of the published state dicts."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class ChannelNorm(nn.Module):
    """Layer normalisation over axis 1 of (batch, channels, …)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position over its channels; under autocast in float32, as torch's own norms do."""
        x = x.to(self.weight.dtype)
        variance, mean = torch.var_mean(x, 1, keepdim=True, correction=0)
        shape = (-1,) + (1,) * (x.ndim - 2)
        scale = self.weight.view(shape) * torch.rsqrt(variance + self.eps)
        return (x - mean) * scale + self.bias.view(shape)


class ConvNeXtLikeBlock(nn.Module):
    """Grouped convolutions of several sizes, BatchNorm, activation, pointwise convolution, skip (after ConvNeXt).

    Args:
        channels: In and out.
        kernel_sizes: One convolution each, an int or one per dimension; their outputs are concatenated.
        group_divisor: Channels per group; None for dense convolutions.
        n_dims: 1 for (batch, channels, frames), 2 for (batch, channels, bands, frames).
        activation: ``gelu`` or ``relu``.
    """

    def __init__(
        self,
        channels: int,
        kernel_sizes: Sequence[Any],
        *,
        group_divisor: int | None,
        n_dims: int,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        conv: type[nn.Conv1d] | type[nn.Conv2d] = nn.Conv1d if n_dims == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if n_dims == 1 else nn.BatchNorm2d
        groups = count_groups(channels, group_divisor)
        self.dwconvs = nn.ModuleList(conv(channels, channels, k, padding="same", groups=groups) for k in kernel_sizes)
        self.norm = norm(channels * len(kernel_sizes))
        self.act = nn.GELU() if activation == "gelu" else nn.ReLU()
        self.pwconv1 = conv(channels * len(kernel_sizes), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        mixed = torch.cat([conv(x) for conv in self.dwconvs], 1)
        out: Tensor = x + self.pwconv1(self.act(self.norm(mixed)))
        return out


class FrequencyExcitation(nn.Module):
    """Squeeze and excitation over frequency bands (after Hu et al. 2018, arXiv:1709.01507)."""

    def __init__(self, n_bands: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(n_bands, hidden)
        self.exitation = nn.Linear(hidden, n_bands)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the bands of (batch, channels, bands, frames)."""
        gate = torch.sigmoid(self.exitation(functional.relu(self.squeeze(x.mean((1, 3))))))
        return x * gate[:, None, :, None]


class ResBasicBlock(nn.Module):
    """Two grouped 3 x 3 convolutions, each with a pointwise one, and a skip; BatchNorm follows the first ReLU."""

    def __init__(self, channels: int, n_bands: int, *, group_divisor: int | None, excitation: bool) -> None:
        super().__init__()
        groups, dense = count_groups(channels, group_divisor), group_divisor is None

        def pointwise() -> nn.Module:
            return nn.Identity() if dense else nn.Conv2d(channels, channels, 1)

        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=groups)
        self.conv1pw = pointwise()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=groups)
        self.conv2pw = pointwise()
        self.bn2 = nn.BatchNorm2d(channels)
        hidden = min(64, max(channels, 32))
        self.se = FrequencyExcitation(n_bands, hidden) if excitation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, bands, frames) to the same shape."""
        out = self.bn1(functional.relu(self.conv1pw(self.conv1(x))))
        out = self.se(self.bn2(self.conv2pw(self.conv2(out))))
        return functional.relu(out + x)


class SelfAttention(nn.Module):
    """Multi-head self-attention over (batch, frames, channels)."""

    def __init__(self, channels: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, frames, channels) to the same shape."""
        query, key, value = (
            proj(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.out_proj(attended.transpose(1, 2).flatten(-2))
        return mixed


class FeedForward(nn.Module):
    """Two linear layers with a tanh-approximated GELU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(channels, hidden)
        self.output_dense = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, channels) to the same shape."""
        out: Tensor = self.output_dense(functional.gelu(self.intermediate_dense(x), approximate="tanh"))
        return out


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each followed by its normalisation, on (batch, channels, frames)."""

    def __init__(self, channels: int, hidden: int, n_heads: int = 4) -> None:
        super().__init__()
        self.attention = SelfAttention(channels, n_heads)
        self.layer_norm = nn.LayerNorm(channels, eps=1e-6)
        self.feed_forward = FeedForward(channels, hidden)
        self.final_layer_norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to the same shape."""
        x = x.transpose(1, 2)
        x = self.layer_norm(x + self.attention(x))
        x = self.final_layer_norm(x + self.feed_forward(x))
        return x.transpose(1, 2)


class PositionalConvolution(nn.Module):
    """A wide depthwise convolution, normalised and added: position for the attention that follows."""

    def __init__(self, channels: int, kernel_size: int = 59) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to the same shape."""
        out: Tensor = x + self.norm(self.conv(x))
        return out


class TimeContextBlock(nn.Module):
    """Reduce the 1-D stream, mix it over time, expand it and add it to the input."""

    def __init__(self, channels: int, hidden: int, block_type: str) -> None:
        super().__init__()
        self.red_dim_conv = nn.Sequential(nn.Conv1d(channels, hidden, 1), ChannelNorm(hidden))
        self.tcm = nn.Sequential(*time_context_layers(hidden, block_type))
        self.exp_dim_conv = nn.Conv1d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to the same shape."""
        out: Tensor = x + self.exp_dim_conv(self.tcm(self.red_dim_conv(x)))
        return out


def time_context_layers(channels: int, block_type: str) -> list[nn.Module]:
    """Return the layers that mix (batch, channels, frames) over time: ``fc``, ``conv``, ``att`` or ``conv+att``."""

    def conv(*kernel_sizes: int) -> nn.Module:
        return ConvNeXtLikeBlock(channels, kernel_sizes, group_divisor=1, n_dims=1)

    if block_type == "fc":
        wide = nn.Conv1d(channels, channels * 2, 1)
        return [wide, ChannelNorm(channels * 2), nn.GELU(), nn.Conv1d(channels * 2, channels, 1)]
    if block_type == "conv":
        return [conv(7, 15, 31) for _ in range(4)]
    if block_type == "att":
        return [PositionalConvolution(channels), TransformerLayer(channels, channels * 2)]
    if block_type == "conv+att":
        return [*(conv(size) for size in (7, 19, 31, 59)), TransformerLayer(channels, channels)]
    raise ValueError(f"unknown 1-D block {block_type!r}")


def conv_block_2d(
    channels: int,
    n_bands: int,
    block_type: str,
    group_divisor: int | None,
    *,
    kernel_sizes: Sequence[tuple[int, int]] = ((3, 3),),
) -> nn.Module:
    """Return a 2-D block on (batch, channels, bands, frames) by its published name; ResNet blocks are always 3 x 3."""
    block: nn.Module
    if block_type in {"convnext_like", "convnext_like_relu"}:
        activation = "relu" if block_type.endswith("relu") else "gelu"
        block = ConvNeXtLikeBlock(channels, kernel_sizes, group_divisor=group_divisor, n_dims=2, activation=activation)
    elif block_type in {"basic_resnet", "basic_resnet_fwse"}:
        excitation = block_type.endswith("fwse")
        block = ResBasicBlock(channels, n_bands, group_divisor=group_divisor, excitation=excitation)
    else:
        raise ValueError(f"unknown 2-D block {block_type!r}")
    return nn.Sequential(OrderedDict(conv_block=block))  # the name in published state dicts


def count_groups(channels: int, group_divisor: int | None) -> int:
    """Return the groups of a convolution with ``group_divisor`` channels each; None makes it dense.

    Raises:
        ValueError: If the channels do not split into such groups.
    """
    if group_divisor is None:
        return 1
    groups = channels // group_divisor
    if groups == 0 or channels % groups:
        raise ValueError(f"{channels} channels do not split into groups of {group_divisor}")
    return groups


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
        dtype = streams[-1].dtype  # under autocast a stage ends in half precision, and the sum stays in it
        weights = functional.softmax(self.w, 1).to(dtype)
        mixed = weights[:, 0] * streams[0].to(dtype)
        for index, stream in enumerate(streams[1:], start=1):
            mixed = torch.addcmul(mixed, weights[:, index], stream.to(dtype))
        return mixed
