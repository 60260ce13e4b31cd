"""The network that PyTorch embeds with, against the network as published."""

import pytest
import torch
from torch import nn

from factories import TINY, TINY2, tiny_encoder
from mrlspk.inference import torch_network
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.inference.torch_layers import OneDnnConvolution
from mrlspk.inference.torch_network import InferenceNetwork
from mrlspk.models.export.folding import PlainChannelNorm
from mrlspk.models.redimnet.blocks import ChannelNorm

STAGES = (1, 1, 1, ((3, 3),), None), (2, 2, 2, ((3, 3),), 4), (1, 1, 3, ((3, 3),), 2)
BACKBONES = {
    "ResNet and attention": {"block_1d_type": "conv+att", "block_2d_type": "basic_resnet", "group_divisor": 1},
    "ResNet of dense convolutions": {"block_1d_type": "att", "block_2d_type": "basic_resnet", "group_divisor": None},
    "excitation": {"block_1d_type": "conv", "block_2d_type": "basic_resnet_fwse", "group_divisor": 2},
    "ConvNeXt": {"block_1d_type": "fc", "block_2d_type": "convnext_like", "group_divisor": 4},
    "context": {"block_2d_type": "convnext_like_relu", "global_context_att": True, "hop_length": 240},
    "many heads": {"block_1d_type": "conv", "pooling_func": "MQMHASTP", "feat_type": "tf", "out_channels": 16},
}
STAGES2 = ((1, 1), 1, 2, ((3, 3), (1, 5)), 4), ((2, 1), 1, 1, ((4, 2),), None), ((1, 2), 1, 1, ((3, 3),), 2)
BACKBONES2 = {
    "time pooling": {"block_1d_type": "att", "pad_right_samples": 100, "before_pool_offset": 2},
    "even kernels": {"block_2d_type": "convnext_like", "use_freq_pos_enc": True},
    "normed streams": {"dual_agg": True, "agg_gnorm": True, "block_1d_type": "conv+att", "return_2d_output": True},
}
CASES = {name: TINY.model_copy(update={"stages_setup": STAGES} | each) for name, each in BACKBONES.items()}
CASES |= {name: TINY2.model_copy(update={"stages_setup": STAGES2} | each) for name, each in BACKBONES2.items()}


def settled_encoder(backbone=CASES["ResNet and attention"]):
    """Return an encoder whose BatchNorms have statistics of their own, one channel of each with a scale of 0."""
    encoder, generator = tiny_encoder((4, 8), backbone=backbone), torch.Generator().manual_seed(7)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(-2, 2, generator=generator)[0] = 0
            module.bias.data.uniform_(-1, 1, generator=generator)
    return encoder


def noise(batch=2, samples=4_000):
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(1))


def assert_same_directions(found, expected):
    torch.testing.assert_close(
        nn.functional.normalize(found), nn.functional.normalize(expected), atol=1e-5, rtol=0, check_stride=False
    )


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("backbone", CASES.values(), ids=CASES)
@torch.inference_mode()
def test_rewritten_network_embeds_like_the_published_one(backbone):
    encoder = settled_encoder(backbone)
    network = InferenceNetwork(encoder)
    for waveform in (noise(), noise(1, 9_000), noise(3, encoder.min_samples)):
        assert_same_directions(network(waveform), encoder(waveform))


def test_published_encoder_is_left_as_it_is():
    encoder = settled_encoder()
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    InferenceNetwork(encoder)(noise())
    torch.testing.assert_close(encoder.state_dict(), before, atol=0, rtol=0)


def test_every_convolution_runs_in_onednn_and_no_norm_is_left():
    network = InferenceNetwork(settled_encoder())
    kinds = [type(module) for part in (network.backbone, network.pool) for module in part.modules()]
    assert not {nn.Conv1d, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, ChannelNorm, PlainChannelNorm} & set(kinds)
    assert kinds.count(OneDnnConvolution) > 20


@torch.inference_mode()
def test_convolutions_read_channels_last_without_a_copy(monkeypatch):
    network, copied, convolve = InferenceNetwork(settled_encoder()), [], OneDnnConvolution.forward

    def watch(module, x):
        copied.append(not x.transpose(1, -1).is_contiguous())
        return convolve(module, x)

    monkeypatch.setattr(OneDnnConvolution, "forward", watch)
    network(noise())
    assert sum(copied) == 0


def test_machine_without_onednn_folds_the_network_only(monkeypatch):
    monkeypatch.setattr(torch_network, "has_onednn", lambda _dtype: False)
    encoder = settled_encoder()
    network = InferenceNetwork(encoder)
    assert not any(isinstance(module, OneDnnConvolution) for module in network.modules())
    assert_same_directions(network(noise()), encoder(noise()))


def test_backend_runs_the_rewritten_network_or_the_published_one():
    encoder, waveforms = settled_encoder(), noise()
    fast, published = TorchBackend(encoder), TorchBackend(encoder, as_published=True)
    expected = encoder(waveforms).detach().numpy()
    assert (published.embed(waveforms.numpy()) == expected).all()
    found = fast.embed(waveforms.numpy())
    assert found == pytest.approx(expected, abs=1e-4)
    assert (found != expected).any()
    assert fast.fingerprint == published.fingerprint
    assert fast.runtime != published.runtime  # on which the keys of cached embeddings depend
