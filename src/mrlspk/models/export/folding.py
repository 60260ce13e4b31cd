"""Fold what is constant in evaluation mode into the convolutions of a network: the same values with fewer operations.

A BatchNorm that follows a convolution becomes part of it, and so does the mean that a norm over channels subtracts. The
weights of sums over streams are computed once.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mrlspk.models.export.groups import split_groups, widen_groups
from mrlspk.models.redimnet.blocks import ChannelNorm, ConvNeXtLikeBlock, ResBasicBlock, WeightedSum
from mrlspk.models.redimnet.pooling import AttentiveStatistics, deviation, weighted_statistics

CONVOLUTIONS, NORMS = (nn.Conv1d, nn.Conv2d), (nn.BatchNorm1d, nn.BatchNorm2d)

type Convolution = nn.Conv1d | nn.Conv2d


@torch.no_grad()
def fold(network: nn.Module, *, regroup: bool = True) -> nn.Module:
    """Return a copy of a network in evaluation mode that computes the same, up to rounding, with fewer operations.

    Args:
        network: Such as a backbone; left as it is.
        regroup: Replace 2-D convolutions with narrow groups by such that runtimes have fast kernels for.
    """
    folded = nn.Sequential(deepcopy(network).eval().requires_grad_(requires_grad=False))
    for kind, rewrite in _REWRITES.items():
        replace_modules(folded, kind, rewrite)
    if regroup:
        replace_modules(folded, nn.Conv2d, widen_groups)
        replace_modules(folded, nn.Conv2d, split_groups)
    return folded[0]


def replace_modules(network: nn.Module, kind: type[nn.Module], rewrite: Callable[..., nn.Module]) -> None:
    """Put ``rewrite(module)`` in the place of every module of a kind within a network."""
    for name, child in list(network.named_children()):
        if isinstance(child, kind):
            setattr(network, name, rewrite(child))
        replace_modules(network.get_submodule(name), kind, rewrite)


def _fold_sequence(sequence: nn.Sequential) -> nn.Sequential:
    """Fold each BatchNorm that directly follows a convolution into it; entries keep their names."""
    layers = list(sequence.named_children())
    for (name, layer), (norm_name, norm) in zip(layers, layers[1:], strict=False):
        if isinstance(layer, CONVOLUTIONS) and isinstance(norm, NORMS):
            setattr(sequence, name, _fuse(layer, norm))
            setattr(sequence, norm_name, nn.Identity())
        elif isinstance(layer, CONVOLUTIONS) and isinstance(norm, ChannelNorm):
            _centre(layer)
            setattr(sequence, norm_name, PlainChannelNorm(norm, centred=True))
    return sequence


def _centre(conv: Convolution) -> None:
    """Subtract from what a convolution gives its mean over the channels, in place."""
    conv.weight.sub_(conv.weight.mean(0, keepdim=True))
    if conv.bias is not None:
        conv.bias.sub_(conv.bias.mean())


def _fold_convnext(block: ConvNeXtLikeBlock) -> nn.Module:
    """Fold the BatchNorm behind the parallel convolutions into each of them."""
    widths = [conv.out_channels for conv in block.dwconvs if isinstance(conv, CONVOLUTIONS)]
    norms = _split_norm(block.norm, widths)
    convolutions = [_fuse(conv, norm) for conv, norm in zip(block.dwconvs, norms, strict=True)]
    if len(convolutions) == 1:
        return _Residual(nn.Sequential(convolutions[0], block.act, block.pwconv1))
    return _Residual(nn.Sequential(_Parallel(convolutions), block.act, block.pwconv1))


def _fold_resnet(block: ResBasicBlock) -> ResBasicBlock:
    """Fold the second BatchNorm; the first one follows a ReLU, and padding with zeros comes after it."""
    last = "conv2" if isinstance(block.conv2pw, nn.Identity) else "conv2pw"
    setattr(block, last, _fuse(block.get_submodule(last), block.bn2))
    block.bn2 = nn.Identity()  # type: ignore[assignment]
    return block


def _fuse(conv: nn.Module, norm: nn.Module) -> nn.Module:
    return fuse_conv_bn_eval(conv, norm)  # type: ignore[type-var, arg-type]


def _split_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, widths: list[int]) -> list[nn.Module]:
    """Return the parts of a BatchNorm over neighbouring channels."""
    parts: list[nn.Module] = []
    start = 0
    for width in widths:
        part = type(norm)(width, eps=norm.eps).eval()
        end, state = start + width, norm.state_dict()
        part.load_state_dict({name: values[start:end] if values.ndim else values for name, values in state.items()})
        parts.append(part)
        start = end
    return parts


class _Parallel(nn.Module):
    """Concatenate what several convolutions make of the same input."""

    def __init__(self, convolutions: list[nn.Module]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([conv(x) for conv in self.convolutions], 1)


class _Residual(nn.Module):
    """Add what a module makes of its input to the input."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inner(x)
        return out


class ConstantWeightedSum(nn.Module):
    """A `WeightedSum` whose softmax is computed once."""

    weights: Tensor

    def __init__(self, source: WeightedSum) -> None:
        super().__init__()
        self.register_buffer("weights", source.w.softmax(1)[0].detach())

    def forward(self, streams: list[Tensor]) -> Tensor:
        """Mix the streams."""
        if len(streams) == 1:
            return streams[0]
        mixed = self.weights[0] * streams[0]
        for weight, stream in zip(self.weights[1:], streams[1:], strict=True):
            mixed = mixed + weight * stream
        return mixed


class PlainChannelNorm(nn.Module):
    """A `ChannelNorm` in operations that runtimes fuse.

    Args:
        source: Left as it is; or a LayerNorm of the same weights.
        centred: Its input has the mean zero over the channels.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, source: ChannelNorm | nn.LayerNorm, *, centred: bool = False) -> None:
        super().__init__()
        self.register_buffer("weight", source.weight.detach())
        self.register_buffer("bias", source.bias.detach())
        self.eps, self.centred = source.eps, centred

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        shape = (-1,) + (1,) * (x.ndim - 2)
        if not self.centred:
            x = x - x.mean(1, keepdim=True)
        variance = x.square().mean(1, keepdim=True)
        return x * (1 / (variance + self.eps).sqrt()) * self.weight.view(shape) + self.bias.view(shape)


class _SplitAttention(nn.Module):
    """An `AttentiveStatistics` with global context that reads the mean and deviation once, not beside each frame."""

    def __init__(self, source: AttentiveStatistics) -> None:
        super().__init__()
        weight, bias = source.linear1.weight.squeeze(-1), source.linear1.bias
        hidden, channels = len(weight), source.linear2.out_channels
        self.of_frames = nn.Conv1d(channels, hidden, 1, bias=False).requires_grad_(requires_grad=False)
        self.of_context = nn.Linear(2 * channels, hidden).requires_grad_(requires_grad=False)
        self.of_frames.weight.copy_(weight[:, :channels].unsqueeze(-1))
        self.of_context.weight.copy_(weight[:, channels:])
        if bias is not None:
            self.of_context.bias.copy_(bias)
        self.linear2 = source.linear2

    def forward(self, x: Tensor) -> Tensor:
        context = self.of_context(torch.cat((x.mean(-1), deviation(x)), 1))
        hidden = torch.tanh(self.of_frames(x) + context.unsqueeze(-1))
        return weighted_statistics(x, torch.softmax(self.linear2(hidden), -1))


def _split_attention(pool: AttentiveStatistics) -> nn.Module:
    return _SplitAttention(pool) if pool.global_context else pool


_REWRITES: dict[type[nn.Module], Callable[..., nn.Module]] = {
    ConvNeXtLikeBlock: _fold_convnext,
    ResBasicBlock: _fold_resnet,
    nn.Sequential: _fold_sequence,
    WeightedSum: ConstantWeightedSum,
    ChannelNorm: PlainChannelNorm,
    AttentiveStatistics: _split_attention,
}
