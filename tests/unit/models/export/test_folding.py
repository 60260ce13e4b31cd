"""Folded networks against the networks that they were made from."""

import pytest
import torch
from torch import nn

from mrlspk.models.export.folding import fold
from mrlspk.models.redimnet.blocks import ChannelNorm, ConvNeXtLikeBlock, ResBasicBlock, WeightedSum
from mrlspk.models.redimnet.pooling import AttentiveStatistics


def settled(network):
    """Give every BatchNorm statistics of its own."""
    generator = torch.Generator().manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.uniform_(-1, 1, generator=generator)
    return network.eval()


def count(network, kind):
    return sum(isinstance(module, kind) for module in network.modules())


NETWORKS = {
    "convolutions of several sizes": ConvNeXtLikeBlock(8, [(3, 3), (1, 5)], group_divisor=4, n_dims=2),
    "one convolution": ConvNeXtLikeBlock(8, [7], group_divisor=1, n_dims=1),
    "a sequence": nn.Sequential(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 8, 1)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_no_batch_norm_is_left_and_values_stay(network):
    network = settled(nn.Sequential(network))
    x = torch.randn(2, 8, 12) if count(network, nn.Conv1d) else torch.randn(2, 8, 6, 12)
    folded = fold(network)
    assert count(folded, (nn.BatchNorm1d, nn.BatchNorm2d)) == 0
    assert folded(x).numpy() == pytest.approx(network(x).detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("group_divisor", [1, None])
def test_resnet_block_keeps_only_the_norm_behind_a_relu(group_divisor):
    network = settled(nn.Sequential(ResBasicBlock(8, 6, group_divisor=group_divisor, excitation=True)))
    x = torch.randn(2, 8, 6, 12)
    folded = fold(network)
    assert count(folded, nn.BatchNorm2d) == 1
    assert folded(x).numpy() == pytest.approx(network(x).detach().numpy(), abs=1e-5)


def test_sum_of_streams_keeps_its_values():
    network = nn.Sequential(WeightedSum(3, 5))
    network[0].w.data.normal_()
    streams = [torch.randn(2, 5, 4) for _ in range(3)]
    assert fold(network)(streams).numpy() == pytest.approx(network(streams).detach().numpy(), abs=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_norm_behind_a_convolution_computes_no_mean(bias):
    network, x = settled(nn.Sequential(nn.Conv1d(6, 8, 1, bias=bias), ChannelNorm(8), nn.GELU())), torch.randn(2, 6, 9)
    network[1].weight.data.uniform_(0.5, 2)
    network[1].bias.data.uniform_(-1, 1)
    folded = fold(network)
    assert folded[0](x).mean(1).numpy() == pytest.approx(0, abs=1e-6)
    assert folded[1].centred
    torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)


def test_attention_with_global_context_reads_the_context_once():
    torch.manual_seed(3)
    pool = AttentiveStatistics(6, global_context=True, bottleneck=4).eval()
    folded, frames = fold(pool), torch.randn(3, 6, 20)
    torch.testing.assert_close(folded(frames), pool(frames))
    (first,) = [each for each in folded.modules() if isinstance(each, nn.Conv1d) and each.out_channels == 4]
    assert first.in_channels == 6


def test_folding_leaves_the_network_as_it_is():
    network = settled(nn.Sequential(ConvNeXtLikeBlock(8, [(3, 3)], group_divisor=4, n_dims=2)))
    before = {name: values.clone() for name, values in network.state_dict().items()}
    fold(network)
    assert all(torch.equal(before[name], values) for name, values in network.state_dict().items())
    assert list(before) == list(network.state_dict())
