"""Lay the 1-D streams of a network out as images of one row, for which runtimes have faster kernels.

ONNX Runtime keeps images in blocks of 16 channels. It has kernels for their depthwise convolutions, and adds a skip or
the sum so far in the convolution before it. For 1-D streams it has neither.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mrlspk.models.export.folding import ConstantWeightedSum, PlainChannelNorm, replace_modules
from mrlspk.models.redimnet.blocks import SelfAttention, TimeContextBlock, To1d, To2d, TransformerLayer


@torch.no_grad()
def in_rows(network: nn.Module) -> nn.Module:
    """Return a folded backbone that computes the same in images (batch, channels, 1, frames); it is changed itself."""
    rows = nn.Sequential(network, _Unstack())
    for kind, rewrite in _REWRITES.items():
        replace_modules(rows, kind, rewrite)
    return rows.requires_grad_(requires_grad=False)


class _Unstack(nn.Module):
    """(batch, channels, 1, frames) to (batch, channels, frames)."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.ndim == 3 else x.flatten(1, 2)


class _ToRow(nn.Module):
    """A `To1d` that gives (batch, bands x channels, 1, frames)."""

    def __init__(self, _: To1d) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        return x.reshape(x.shape[0], -1, 1, x.shape[3])


class _FromRow(nn.Module):
    """A `To2d` that reads (batch, bands x channels, 1, frames)."""

    def __init__(self, source: To2d) -> None:
        super().__init__()
        self.n_bands, self.channels = source.n_bands, source.channels

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], self.n_bands, self.channels, x.shape[3]).transpose(1, 2)


def _row_convolution(conv: nn.Conv1d) -> nn.Conv2d:
    """Return the convolution of an image of one row."""
    (size,), (stride,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
    padding: Any = conv.padding if isinstance(conv.padding, str) else (0, *conv.padding)
    return _filled(
        nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            (1, size),
            (1, stride),
            padding,
            (1, dilation),
            groups=conv.groups,
            bias=conv.bias is not None,
        ),
        conv.weight.unsqueeze(2),
        conv.bias,
    )


def _pointwise(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return the convolution that maps the channels of each position by a matrix (out, in)."""
    out_channels, in_channels = weight.shape
    return _filled(nn.Conv2d(in_channels, out_channels, 1, bias=bias is not None), weight[:, :, None, None], bias)


def _scaling(weights: Tensor) -> nn.Conv2d:
    """Return the convolution that multiplies each channel by its weight."""
    channels = len(weights)
    return _filled(nn.Conv2d(channels, channels, 1, groups=channels, bias=False), weights.view(-1, 1, 1, 1), None)


def _filled(conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return a convolution with these weights."""
    conv.weight.copy_(weight)
    if conv.bias is not None and bias is not None:
        conv.bias.copy_(bias)
    return conv


class _RowSum(nn.Module):
    """A weighted sum of streams as depthwise convolutions, to whose results a runtime adds the sum so far at once."""

    def __init__(self, source: ConstantWeightedSum) -> None:
        super().__init__()
        self.terms = nn.ModuleList(_scaling(weights) for weights in source.weights.flatten(1))

    def forward(self, streams: list[Tensor]) -> Tensor:
        if len(streams) == 1:
            return streams[0]
        mixed: Tensor = self.terms[0](streams[0])
        for term, stream in zip(self.terms[1:], streams[1:], strict=True):
            mixed = mixed + term(stream)
        return mixed


class _RowContext(nn.Module):
    """A `TimeContextBlock` over (batch, channels, 1, frames).

    A convolution that changes nothing begins it: a runtime then has the input in its own layout also for the skip.
    """

    def __init__(self, source: TimeContextBlock) -> None:
        super().__init__()
        self.same = _scaling(torch.ones(source.exp_dim_conv.out_channels))
        self.inner = nn.Sequential(source.red_dim_conv, source.tcm, source.exp_dim_conv)

    def forward(self, x: Tensor) -> Tensor:
        x = self.same(x)
        out: Tensor = x + self.inner(x)
        return out


class _RowAttention(nn.Module):
    """A `SelfAttention` over (batch, channels, 1, frames); one convolution makes queries, keys and values."""

    def __init__(self, source: SelfAttention) -> None:
        super().__init__()
        self.n_heads = source.n_heads
        channels = source.q_proj.in_features
        self.size = channels // self.n_heads
        projections = source.q_proj, source.k_proj, source.v_proj
        scales = torch.tensor([self.size**-0.5, 1.0, 1.0]).repeat_interleave(channels)
        weight, bias = torch.cat([each.weight for each in projections]), torch.cat([each.bias for each in projections])
        self.project = _pointwise(scales[:, None] * weight, scales * bias)
        self.out_proj = _pointwise(source.out_proj.weight, source.out_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.project(x)
        heads = projected.reshape(projected.shape[0], 3 * self.n_heads, self.size, projected.shape[3])
        query, key, value = heads.split(self.n_heads, 1)
        attention = torch.softmax(query.transpose(-1, -2) @ key, -1)
        mixed = value @ attention.transpose(-1, -2)
        out: Tensor = self.out_proj(mixed.reshape(mixed.shape[0], -1, 1, mixed.shape[3]))
        return out


class _RowTransformer(nn.Module):
    """A `TransformerLayer` over (batch, channels, 1, frames)."""

    def __init__(self, source: TransformerLayer) -> None:
        super().__init__()
        self.attention = _RowAttention(source.attention)
        first, second = source.feed_forward.intermediate_dense, source.feed_forward.output_dense
        self.feed_forward = nn.Sequential(
            _pointwise(first.weight, first.bias), nn.GELU("tanh"), _pointwise(second.weight, second.bias)
        )
        self.layer_norm, self.final_layer_norm = (
            PlainChannelNorm(norm) for norm in (source.layer_norm, source.final_layer_norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.attention(x))
        out: Tensor = self.final_layer_norm(x + self.feed_forward(x))
        return out


def _row_upsample(source: nn.Upsample) -> nn.Upsample:
    factor: Any = source.scale_factor  # a number, as `ReDimNet2` gives it
    return nn.Upsample(scale_factor=(1.0, factor), mode=source.mode)


_REWRITES: dict[type[nn.Module], Callable[..., nn.Module]] = {
    TimeContextBlock: _RowContext,
    TransformerLayer: _RowTransformer,
    nn.Conv1d: _row_convolution,
    ConstantWeightedSum: _RowSum,
    To1d: _ToRow,
    To2d: _FromRow,
    nn.Upsample: _row_upsample,
}
