"""Layers of a network in evaluation mode that a CPU runs fast in PyTorch; shapes and values are those of the originals.

Activations lie in memory as (batch, frames, bands, channels), which is the fast layout of oneDNN. In it the 1-D and
2-D streams of ReDimNet are views of each other. Only strides differ: other layers may stand between these.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrlspk.models.redimnet.blocks import ChannelNorm, ResBasicBlock, SelfAttention, WeightedSum

SMALLEST_SCALE = 1e-12  # of a BatchNorm that is divided by
HEAD_CHANNELS = 16  # attention is fast for multiples of it, the width of a vector register


def has_onednn(dtype: torch.dtype) -> bool:
    """Return whether this PyTorch and this processor convolve in oneDNN."""
    one = torch.ones(1, 1, 1, 1, dtype=dtype)
    try:
        torch.mkldnn_convolution(one, one, None, [0, 0], [1, 1], [1, 1], 1)
    except RuntimeError:  # built without it, or too old a processor for bf16
        return False
    return True


class OneDnnConvolution(nn.Module):
    """A convolution in oneDNN; PyTorch gives those of size 1 to a slower library if it has one thread.

    Args:
        source: With an odd kernel, or with its padding in numbers.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, source: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        self._is_1d, self._groups = isinstance(source, nn.Conv1d), source.groups
        weight = source.weight.detach()
        weight = weight.unsqueeze(2) if self._is_1d else weight
        self.register_buffer("weight", weight.transpose(2, 3).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", None if source.bias is None else source.bias.detach())
        padding = [size // 2 for size in source.kernel_size] if isinstance(source.padding, str) else source.padding
        # A 1-D convolution is a 2-D one over one band. Frames come before bands.
        self._stride = list(reversed([1, *source.stride][-2:]))
        self._padding = list(reversed([0, *padding][-2:]))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) or (batch, channels, bands, frames) to the same kind."""
        frames = _frames_first(x.unsqueeze(2) if self._is_1d else x)
        out = torch.mkldnn_convolution(
            frames, self.weight, self.bias, self._padding, self._stride, [1, 1], self._groups
        ).transpose(2, 3)
        return out.squeeze(2) if self._is_1d else out


def _frames_first(x: Tensor) -> Tensor:
    """Return (batch, channels, bands, frames) as (batch, channels, frames, bands), with channels last in memory.

    Its strides are set, since those of an axis with one entry would hide the layout from oneDNN.
    """
    last = x.transpose(1, 3).contiguous()
    batch, frames, bands, channels = last.shape
    frame = bands * channels
    return last.as_strided((batch, channels, frames, bands), (frames * frame, 1, frame, channels))


class LastAxisNorm(nn.Module):
    """A `ChannelNorm` as the layer normalisation of PyTorch, whose last axis is that of the channels."""

    def __init__(self, source: ChannelNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = source.weight, source.bias, source.eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position of (batch, channels, …) over its channels."""
        last = x.transpose(1, -1)
        return functional.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps).transpose(1, -1)


class InPlaceSum(nn.Module):
    """A `WeightedSum` whose softmax is computed once."""

    weights: Tensor

    def __init__(self, source: WeightedSum) -> None:
        super().__init__()
        self.register_buffer("weights", source.w.softmax(1)[0].detach())

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Mix the streams (batch, channels, frames)."""
        if len(streams) == 1:
            return streams[0]
        mixed = streams[0] * self.weights[0]
        for weight, stream in zip(self.weights[1:], streams[1:], strict=True):
            mixed.addcmul_(stream, weight)
        return mixed


class NormFreeBlock(nn.Module):
    """A `ResBasicBlock` without BatchNorm.

    The first one follows a ReLU. With its scale a, and its shift a·b, it is a·(max(y, 0) + b) = a·max(y + b, b): the
    convolution before it adds b, the one behind it multiplies by a, and zeros around its output stay zeros.

    Args:
        source: Its second BatchNorm is folded already.
    """

    floor: Tensor

    def __init__(self, source: ResBasicBlock) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(source.bn1)
        before = source.conv1pw if isinstance(source.conv1pw, nn.Conv2d) else source.conv1
        bias = shift if before.bias is None else before.bias + shift
        before.bias = nn.Parameter(bias, requires_grad=False)
        weight, groups = source.conv2.weight, source.conv2.groups
        weight.view(groups, -1, *weight.shape[1:]).mul_(scale.view(groups, 1, -1, 1, 1))
        self.first = nn.Sequential(source.conv1, source.conv1pw)
        self.second = nn.Sequential(source.conv2, source.conv2pw, source.se)
        self.register_buffer("floor", shift.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, bands, frames) to the same shape."""
        out: Tensor = self.second(torch.maximum(self.first(x), self.floor))
        return out.add_(x).relu_()


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return a and b of a·(x + b) = norm(x); a is never zero.

    Raises:
        TypeError: If the norm keeps no statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("expected a BatchNorm with running statistics")
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    scale = torch.where(scale.abs() < SMALLEST_SCALE, SMALLEST_SCALE, scale)
    return scale, norm.bias / scale - norm.running_mean


class PaddedAttention(nn.Module):
    """A `SelfAttention` whose heads are padded with zeros to a width for which attention is fast."""

    def __init__(self, source: SelfAttention) -> None:
        super().__init__()
        self.projections = nn.ModuleList((source.q_proj, source.k_proj, source.v_proj))
        self.out_proj, self.n_heads = source.out_proj, source.n_heads
        self.size = source.q_proj.out_features // source.n_heads

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, frames, channels) to the same shape."""
        padding = 0, -self.size % HEAD_CHANNELS
        heads = (projection(x).unflatten(-1, (self.n_heads, -1)) for projection in self.projections)
        query, key, value = (functional.pad(each, padding).transpose(1, 2) for each in heads)
        attended = functional.scaled_dot_product_attention(query, key, value, scale=self.size**-0.5)
        mixed: Tensor = self.out_proj(attended[..., : self.size].transpose(1, 2).flatten(-2))
        return mixed


def split_convolution(conv: nn.Conv2d) -> nn.Module:
    """Return a 2-D convolution as one or two in oneDNN.

    If each group has one output, the inputs are filtered one by one and then added: oneDNN is slow for such groups.
    """
    if conv.groups in {1, conv.in_channels} or conv.out_channels != conv.groups:
        return convolution(conv)
    inputs, groups = conv.in_channels, conv.groups
    filters = nn.Conv2d(inputs, inputs, conv.kernel_size, conv.stride, conv.padding, groups=inputs, bias=False)  # type: ignore[arg-type]
    total = nn.Conv2d(inputs, groups, 1, bias=conv.bias is not None)
    with torch.no_grad():
        filters.weight.copy_(conv.weight.flatten(0, 1).unsqueeze(1))
        total.weight.copy_(torch.eye(groups).repeat_interleave(inputs // groups, 1)[..., None, None])
    total.bias = conv.bias
    return nn.Sequential(convolution(filters), OneDnnConvolution(total))


def convolution(conv: nn.Conv1d | nn.Conv2d) -> nn.Module:
    """Return a convolution in oneDNN; one with an even kernel as it is, whose padding has unequal sides."""
    is_even = isinstance(conv.padding, str) and any(size % 2 == 0 for size in conv.kernel_size)
    return conv if is_even else OneDnnConvolution(conv)
