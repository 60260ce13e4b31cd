"""Layers for oneDNN against those of torch."""

import pytest
import torch
from torch import nn

from mrlspk.inference.torch_layers import InPlaceSum, OneDnnConvolution, has_onednn, split_convolution
from mrlspk.models.redimnet.blocks import WeightedSum

CONVOLUTIONS = {
    "1-D": (nn.Conv1d(4, 6, 3, padding="same"), (2, 4, 11)),
    "1-D, one channel at a time": (nn.Conv1d(4, 4, 5, padding=2, groups=4), (2, 4, 11)),
    "one frame": (nn.Conv1d(4, 6, 1), (1, 4, 1)),
    "one band": (nn.Conv2d(4, 6, 3, padding=1), (1, 4, 1, 11)),
    "strides": (nn.Conv2d(4, 6, (2, 3), (2, 3)), (2, 4, 6, 11)),
    "unequal kernel": (nn.Conv2d(4, 6, (3, 5), padding="same", bias=False), (2, 4, 6, 11)),
    "one output per group": (nn.Conv2d(6, 2, 3, padding="same", groups=2), (2, 6, 5, 11)),
    "one output per group, without bias": (nn.Conv2d(6, 3, 3, padding=1, groups=3, bias=False), (2, 6, 5, 11)),
}


@pytest.mark.parametrize(("source", "shape"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@torch.no_grad()
def test_convolution_in_onednn_matches_its_source(source, shape):
    fast = OneDnnConvolution(source) if isinstance(source, nn.Conv1d) else split_convolution(source)
    x = torch.randn(shape)
    torch.testing.assert_close(fast(x), source(x), check_stride=False)


def test_groups_with_one_output_are_filtered_channel_by_channel():
    filters, total = split_convolution(nn.Conv2d(6, 2, 3, groups=2))
    assert filters.weight.shape == (6, 1, 3, 3)
    assert total.weight.shape == (2, 6, 1, 1)


def test_sum_leaves_its_streams_as_they_are():
    source = WeightedSum(2, 3)
    streams = [torch.ones(1, 3, 4), 3 * torch.ones(1, 3, 4)]
    assert InPlaceSum(source)(streams).tolist() == [[[2.0] * 4] * 3]  # equal weights
    assert streams[0].max() == 1


def test_missing_kernels_are_seen(monkeypatch):
    def fail(*_):
        raise RuntimeError("not compiled with it")

    assert has_onednn(torch.float32)
    monkeypatch.setattr(torch, "mkldnn_convolution", fail)
    assert not has_onednn(torch.float32)
