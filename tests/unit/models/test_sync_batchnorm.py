from copy import deepcopy

import pytest
import torch
from torch import nn

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.run import HardwareConfig
from mrlspk.errors import ConfigError
from mrlspk.models.encoder import build_encoder
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.models.head_transforms import fold_head
from mrlspk.models.parts import set_training_mode
from mrlspk.models.sync_batchnorm import build_sync_batchnorm, synchronise

pytestmark = pytest.mark.process

BACKBONE = ReDimNetConfig(
    F=8, C=4, block_1d_type="conv+att", group_divisor=2, stages_setup=((2, 1, 2, ((3, 3),), 2),), out_channels=8
)
WANTED, CUDA = HardwareConfig(sync_batchnorm=True), torch.device("cuda")


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder(describe_architecture(BACKBONE, (4, 8), output_norm=True))
    generator = torch.Generator().manual_seed(1)
    for norm in norms(encoder):
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
    return encoder


def norms(module):
    return [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def in_sync(module):
    return [isinstance(part, nn.SyncBatchNorm) for part in norms(module)]


def test_synchronised_model_keeps_names_tensors_and_checkpoint(encoder):
    parameters, state = dict(encoder.named_parameters()), deepcopy(encoder.state_dict())
    fingerprint = model_fingerprint(encoder)
    synchronise(encoder)
    assert in_sync(encoder) == [True] * 9
    assert all(isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) for norm in norms(encoder))
    assert all(parameters[name] is each for name, each in encoder.named_parameters())
    assert list(encoder.state_dict()) == list(state)
    assert all(torch.equal(values, state[name]) for name, values in encoder.state_dict().items())
    assert model_fingerprint(encoder) == fingerprint
    encoder.load_state_dict(state)


def test_synchronised_norm_in_evaluation_mode_is_a_plain_one(encoder):
    waveforms = torch.randn(2, 6000, generator=torch.Generator().manual_seed(2))
    before = encoder.eval()(waveforms)
    folded = fold_head(encoder.head)
    synchronise(encoder)
    assert not encoder.training
    assert torch.equal(encoder(waveforms), before)
    again = fold_head(encoder.head)
    assert torch.equal(again.weight, folded.weight)
    assert torch.equal(again.bias, folded.bias)


def test_synchronised_norm_of_one_process_is_a_plain_one(encoder):
    waveforms = torch.randn(4, 6000, generator=torch.Generator().manual_seed(2))
    other = deepcopy(encoder)
    synchronise(other)
    assert torch.equal(encoder.train()(waveforms), other.train()(waveforms))
    for (name, values), same in zip(encoder.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(values, same), name


@pytest.mark.parametrize(("frozen", "kept"), [(True, False), (False, True), (False, False)])
def test_training_modes_reach_synchronised_norms(encoder, frozen, kept):
    synchronise(encoder)
    set_training_mode(encoder, backbone_frozen=frozen, keep_statistics=kept)
    assert [norm.training for norm in norms(encoder.backbone)] == [not (frozen or kept)] * 7
    assert encoder.head.norm.training == (not kept)


def test_norms_are_synchronised_only_for_several_processes(encoder):
    build_sync_batchnorm(HardwareConfig(), encoder, device=CUDA, n_processes=2)
    build_sync_batchnorm(WANTED, encoder, device=CUDA, n_processes=1)
    assert not any(in_sync(encoder))
    build_sync_batchnorm(WANTED, encoder, device=CUDA, n_processes=2)
    assert all(in_sync(encoder))


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_synchronised_norm_without_a_gpu_is_refused(encoder, device):
    with pytest.raises(ConfigError, match=f"needs GPUs, and the device is {device}") as caught:
        build_sync_batchnorm(WANTED, encoder, device=torch.device(device), n_processes=2)
    assert caught.value.where == "hardware.sync_batchnorm"
