"""Acceleration of an encoder: the same values by other means."""

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.run import HardwareConfig
from mrlspk.config.training import LoraConfig
from mrlspk.errors import MissingDependencyError
from mrlspk.models.checkpoints import load_model
from mrlspk.models.checkpoints.files import write_entries
from mrlspk.models.checkpoints.loading import encoder_entries
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import set_training_mode
from mrlspk.models.redimnet.execution import Calls
from mrlspk.training.hardware import build_acceleration, fixed_shapes, set_tf32
from mrlspk.training.network.adapter_files import save_adapter
from mrlspk.training.network.lora import build_adapters, merged, train_adapters

BACKBONE = ReDimNetConfig(
    F=8,
    C=4,
    block_1d_type="conv+att",
    group_divisor=2,
    stages_setup=((1, 1, 1, ((3, 3),), None), (2, 1, 2, ((3, 3),), 2)),
)
ARCHITECTURE = describe_architecture(BACKBONE, (4, 8))
CPU = torch.device("cpu")


def encoder_of(*, adapters=False, **hardware):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder(ARCHITECTURE).train()
        if adapters:
            build_adapters(LoraConfig(rank=2), encoder)
            set_training_mode(encoder, backbone_frozen=True)
            train_adapters(encoder)
    parameters = list(encoder.parameters())
    build_acceleration(HardwareConfig(**hardware), encoder, CPU)
    assert all(own is before for own, before in zip(encoder.parameters(), parameters, strict=True))
    return encoder


def waveforms(n=4):
    return torch.randn(n, 6000, generator=torch.Generator().manual_seed(5))


def gradients(backbone):
    """Return frames, gradients and statistics of a pass in float64, where rounding cannot hide an error, nor be one."""
    frames = backbone.double()(torch.randn(4, 8, 40, generator=torch.Generator().manual_seed(5)).double())
    (frames * torch.linspace(-1, 1, frames.numel()).view_as(frames)).sum().backward()
    found = {name: values.grad for name, values in backbone.named_parameters() if values.grad is not None}
    return {"frames": frames.detach()} | found | dict(backbone.named_buffers())


def is_channels_last(weight):
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


@pytest.mark.parametrize("adapters", [False, True], ids=["plain", "adapters"])
def test_channels_last_computes_the_same(adapters):
    plain, other = encoder_of(adapters=adapters), encoder_of(adapters=adapters, channels_last=True)
    weights = other.backbone.stage1.get_submodule("3.conv_block.dwconvs.0").weight
    assert is_channels_last(weights)
    torch.testing.assert_close(other.eval()(waveforms()), plain.eval()(waveforms()), rtol=1e-5, atol=1e-5)
    expected, found = gradients(plain.backbone.train()), gradients(other.backbone.train())
    assert found.keys() == expected.keys()
    for name, values in found.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-8, atol=1e-8)


def test_a_checkpoint_of_channels_last_weights_is_read_in_plain_order(tmp_path):
    encoder = encoder_of(channels_last=True)
    write_entries(tmp_path / "model.pt", encoder_entries(encoder, ARCHITECTURE))
    loaded = load_model(tmp_path / "model.pt").encoder
    for name, values in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], values)
        assert loaded.state_dict()[name].is_contiguous()


def test_adapters_of_a_channels_last_encoder_are_merged_and_written(tmp_path):
    encoder = encoder_of(adapters=True, channels_last=True, gradient_checkpointing=True).eval()
    torch.testing.assert_close(merged(encoder)(waveforms()), encoder(waveforms()), rtol=1e-4, atol=1e-4)
    save_adapter(tmp_path, encoder, ARCHITECTURE)


def test_acceleration_keeps_names_and_sets_calls_of_the_section(monkeypatch):
    checked = []
    monkeypatch.setattr("mrlspk.training.hardware.check_compiler", checked.append)
    encoder = encoder_of(channels_last=True, compile=True, gradient_checkpointing=True)
    assert list(encoder.state_dict()) == list(encoder_of().state_dict())
    assert checked == [CPU]
    assert encoder.backbone.calls == Calls(compiled=True, recomputed=True)
    assert encoder_of().backbone.calls == Calls()
    assert encoder.with_head(encoder.head, (8,)).backbone.calls == encoder.backbone.calls


@pytest.fixture
def _tf32_as_before():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.usefixtures("_tf32_as_before")
def test_tf32_is_set_for_matrices_and_convolutions_in_both_directions():
    for allowed in (False, True, False):
        set_tf32(allowed=allowed)
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.backends.cudnn.allow_tf32 is allowed


@pytest.mark.parametrize("before", [True, False])
def test_kernels_are_timed_within_the_block_only(monkeypatch, before):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", before)
    with fixed_shapes(searched=False):
        assert torch.backends.cudnn.benchmark is before
    with fixed_shapes(searched=True):
        assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark is before


def test_missing_compiler_is_reported_before_the_run(monkeypatch):
    def fail(_values):
        raise TorchDynamoException("InvalidCxxCompiler: No working C++ compiler found\nand so on")

    monkeypatch.setattr(torch, "compile", lambda _function: fail)
    with pytest.raises(
        MissingDependencyError, match=r"no working compiler for cpu: InvalidCxxCompiler.*found\n"
    ) as caught:
        encoder_of(compile=True)
    assert caught.value.where == "hardware.compile"
    assert caught.value.exit_code == 4
