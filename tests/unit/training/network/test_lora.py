"""Adapters through peft: their targets, what they leave frozen, and the merged model."""

import sys

import pytest
import torch

from mrlspk.config import load_config
from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.config.loss import LossConfig
from mrlspk.config.training import LoraConfig
from mrlspk.errors import ConfigError, MissingDependencyError
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import set_training_mode
from mrlspk.training.memory.probe import build_train_probe
from mrlspk.training.network.lora import (
    adapter_entries,
    build_adapters,
    has_adapters,
    load_with_adapters,
    merged,
    target_names,
    train_adapters,
    without_adapters,
)
from mrlspk.training.network.module import NetworkModule
from mrlspk.training.optimiser import build_optimiser

BACKBONE = ReDimNetConfig(
    F=8,
    C=4,
    block_1d_type="conv+att",
    group_divisor=2,
    stages_setup=((1, 1, 1, ((3, 3),), None), (2, 1, 2, ((3, 3),), 2)),
)
SECOND = ReDimNet2Config(F=8, C=4, block_1d_type="att", out_channels=16, stages_setup=(((2, 2), 1, 2, ((3, 3),), 2),))
WITHOUT_ATTENTION = ReDimNetConfig(F=8, C=4, block_1d_type="conv", stages_setup=((1, 1, 1, ((3, 3),), None),))
ATTENTION = {
    f"backbone.stage1.6.tcm.4.{layer}"
    for layer in (
        "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.out_proj",
        "feed_forward.intermediate_dense", "feed_forward.output_dense",
    )
}  # fmt: skip
POINTWISE = {
    "backbone.stage0.2", "backbone.stage0.3.conv_block.pwconv1",
    "backbone.stage1.3.conv_block.pwconv1", "backbone.stage1.4.3",
    "backbone.stage1.6.red_dim_conv.0", "backbone.stage1.6.exp_dim_conv",
    *(f"backbone.stage1.6.tcm.{index}.pwconv1" for index in range(4)),
}  # fmt: skip


def encoder_of(backbone=BACKBONE, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_encoder(describe_architecture(backbone, (4, 8)))


def adapted(backbone=BACKBONE, *, seed=0, **options):
    encoder = encoder_of(backbone, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        build_adapters(LoraConfig(rank=2, alpha=4, **options), encoder)
    return encoder


def filled(encoder, seed=2):
    """Give every adapter random weights, as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if ".lora_" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return encoder.eval()


def waveforms(n=3, samples=6000):
    return torch.randn(n, samples, generator=torch.Generator().manual_seed(5))


def test_adapter_targets_are_dense_layers_and_pointwise_convolutions():
    encoder = encoder_of()
    assert set(target_names(encoder, attention=True, pointwise=False)) == ATTENTION
    assert set(target_names(encoder, attention=False, pointwise=True)) == POINTWISE
    assert len(target_names(encoder, attention=True, pointwise=True)) == len(ATTENTION) + len(POINTWISE)


@pytest.mark.parametrize("backbone", [BACKBONE, SECOND], ids=["redimnet", "redimnet2"])
def test_new_adapters_add_nothing(backbone):
    plain, encoder = encoder_of(backbone).eval(), adapted(backbone).eval()
    assert has_adapters(encoder)
    assert torch.equal(plain(waveforms()), encoder(waveforms()))


@pytest.mark.parametrize("backbone", [BACKBONE, SECOND], ids=["redimnet", "redimnet2"])
def test_merged_encoder_is_plain_and_embeds_like_the_adapted_one(backbone):
    encoder = filled(adapted(backbone))
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    plain = merged(encoder)
    assert list(plain.state_dict()) == list(encoder_of(backbone).state_dict())
    assert torch.allclose(plain(waveforms()), encoder(waveforms()), atol=1e-5)
    assert not torch.allclose(plain(waveforms()), encoder_of(backbone).eval()(waveforms()), atol=1e-2)
    assert all(torch.equal(values, before[name]) for name, values in encoder.state_dict().items())


@pytest.mark.parametrize("kind", ["attention", "pointwise"])
def test_merged_weight_is_the_old_one_plus_the_scaled_product(kind):
    encoder = filled(adapted(targets=(kind,)))
    name = next(iter(sorted(ATTENTION if kind == "attention" else POINTWISE)))
    layer = encoder.get_submodule(name)
    down, up = (part["default"].weight.flatten(1) for part in (layer.lora_A, layer.lora_B))
    expected = layer.base_layer.weight.flatten(1) + 4 / 2 * up @ down  # alpha / rank
    assert torch.allclose(merged(encoder).get_submodule(name).weight.flatten(1), expected, atol=1e-6)


def test_without_adapters_is_the_encoder_before_them():
    plain, encoder = encoder_of(), filled(adapted())
    beneath = without_adapters(encoder).state_dict()
    assert all(torch.equal(values, beneath[name]) for name, values in plain.state_dict().items())
    assert without_adapters(plain) is plain
    assert merged(plain) is plain


def test_step_moves_adapters_and_head_only():
    encoder = adapted()
    criterion = build_loss(LossConfig(), dims=(4, 8), weights=(1, 1), n_speakers=3)
    set_training_mode(encoder, backbone_frozen=True)
    train_adapters(encoder)
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    config = load_config(None, ["training.lora={rank: 2}", "training.learning_rate=0.1", "training.weight_decay=0.5"])
    optimiser = build_optimiser(config, encoder, criterion)
    for _ in range(2):  # of a product of two matrices, one of them zero, the first step moves one
        optimiser.zero_grad(set_to_none=True)
        NetworkModule(encoder, criterion)(waveforms(), torch.tensor([0, 1, 2])).total.backward()
        optimiser.step()
    moved = {name for name, values in encoder.state_dict().items() if not torch.equal(values, before[name])}
    assert moved == {name for name in before if name.startswith("head.") or ".lora_" in name}


def test_dropout_is_active_in_training_only():
    encoder = filled(adapted(dropout=0.5))
    assert torch.equal(encoder(waveforms()), encoder(waveforms()))
    set_training_mode(encoder, backbone_frozen=True)
    train_adapters(encoder)
    assert not torch.equal(encoder.pooled(waveforms()), encoder.pooled(waveforms()))


def test_checkpoint_restores_merged_weights_and_adapters_bit_for_bit():
    encoder = filled(adapted())
    contents = {"model": merged(encoder).state_dict()} | adapter_entries(encoder)
    again = adapted(seed=7)
    load_with_adapters(again, contents)
    assert all(torch.equal(values, again.state_dict()[name]) for name, values in encoder.state_dict().items())


def test_a_checkpoint_without_adapters_restores_none():
    encoder = encoder_of()
    assert adapter_entries(encoder) == {}
    load_with_adapters(encoder, {"model": encoder_of(seed=3).state_dict()})
    assert torch.equal(encoder.head.linear.weight, encoder_of(seed=3).head.linear.weight)
    with pytest.raises(KeyError, match="adapters"):
        load_with_adapters(adapted(), {"model": encoder.state_dict()})


def test_memory_probe_has_the_adapters_of_the_run():
    config = load_config(None, ["training.lora={rank: 2}", "model.matryoshka_dims=[4, 8]", "data.chunk_duration=0.4"])
    encoder = encoder_of()
    step = build_train_probe(config, encoder, device=torch.device("cpu"), n_speakers=3)
    step.take(2)
    adapters = {id(parameter) for name, parameter in encoder.named_parameters() if ".lora_" in name}
    stepped = {id(parameter) for parameter in step.optimiser.state}
    assert adapters <= stepped
    assert id(encoder.backbone.stem[0].weight) not in stepped


def test_backbone_without_attention_has_no_attention_targets():
    with pytest.raises(ConfigError, match="no layer of kind attention"):
        build_adapters(LoraConfig(targets=("attention",)), encoder_of(WITHOUT_ATTENTION))


def test_without_peft_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mrlspk\[lora\]'") as caught:
        build_adapters(LoraConfig(), encoder_of())
    assert caught.value.exit_code == 4
