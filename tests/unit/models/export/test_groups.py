"""Convolutions with other groups against the convolutions that they were made from."""

import pytest
import torch
from torch import nn

from mrlspk.models.export.groups import split_groups, widen_groups


@pytest.mark.parametrize(
    ("channels", "per_group", "groups"), [(32, 4, 2), (48, 8, 3), (32, 16, 2), (24, 4, 6), (32, 1, 32)]
)
def test_narrow_groups_become_groups_of_sixteen_channels(channels, per_group, groups):
    conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels // per_group)
    wide, x = widen_groups(conv), torch.randn(2, channels, 5, 7)
    assert wide.groups == groups
    assert wide(x).detach().numpy() == pytest.approx(conv(x).detach().numpy(), abs=1e-5)


def test_groups_with_one_output_become_depthwise_and_pointwise():
    conv, x = nn.Conv2d(12, 4, 3, padding="same", groups=4), torch.randn(2, 12, 5, 7)
    depthwise, pointwise = split_groups(conv)
    assert (depthwise.groups, pointwise.groups) == (12, 1)
    torch.testing.assert_close(pointwise(depthwise(x)), conv(x), atol=1e-5, rtol=1e-5)
    dense = nn.Conv2d(12, 1, 3)
    assert split_groups(dense) is dense
