"""Replace convolutions with narrow groups by such that runtimes have fast kernels for; they compute the same."""

from typing import Any

import torch
from torch import nn

GROUP_CHANNELS = 16  # of a vector register of AVX-512, in which runtimes lay out channels


@torch.no_grad()
def widen_groups(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution with groups of 16 channels that computes the same; other convolutions as they are.

    Its weights are zero between channels that were in different groups.
    """
    per_group = conv.in_channels // conv.groups
    merged = GROUP_CHANNELS // per_group
    fits = conv.groups > 1 and 1 < per_group < GROUP_CHANNELS and GROUP_CHANNELS % per_group == 0
    if not fits or conv.groups % merged or conv.in_channels != conv.out_channels:
        return conv
    groups = conv.groups // merged
    wide = _like(conv, conv.out_channels, groups, bias=conv.bias is not None)
    weight = conv.weight.reshape(groups, merged, per_group, per_group, *conv.kernel_size)
    blocks = weight.new_zeros(groups, merged, per_group, merged, per_group, *conv.kernel_size)
    for index in range(merged):
        blocks[:, index, :, index] = weight[:, index]
    wide.weight.copy_(blocks.flatten(3, 4).flatten(0, 2))
    if conv.bias is not None and wide.bias is not None:
        wide.bias.copy_(conv.bias)
    return wide


@torch.no_grad()
def split_groups(conv: nn.Conv2d) -> nn.Module:
    """Return a depthwise and a pointwise convolution for one with an output channel per group; others as they are."""
    per_group = conv.in_channels // conv.groups
    if conv.groups != conv.out_channels or per_group == 1 or conv.groups == 1:
        return conv
    depthwise = _like(conv, conv.in_channels, conv.in_channels, bias=False)
    depthwise.weight.copy_(conv.weight.flatten(0, 1).unsqueeze(1))
    pointwise = nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=conv.bias is not None)
    pointwise.weight.copy_(torch.eye(conv.groups).repeat_interleave(per_group, 1)[:, :, None, None])
    if conv.bias is not None and pointwise.bias is not None:
        pointwise.bias.copy_(conv.bias)
    return nn.Sequential(depthwise, pointwise).requires_grad_(requires_grad=False)


def _like(conv: nn.Conv2d, out_channels: int, groups: int, *, bias: bool) -> nn.Conv2d:
    """Return a convolution of the same input, kernel, strides and padding."""
    kernel: Any = conv.kernel_size
    stride: Any = conv.stride
    padding: Any = conv.padding
    like = nn.Conv2d(conv.in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)
    return like.requires_grad_(requires_grad=False)
