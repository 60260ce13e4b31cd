"""Parameter groups of the optimiser, and the learning-rate schedule."""

import math

import pytest
import torch

from factories import TINY
from mrlspk.config import load_config
from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import layer_depths, set_training_mode
from mrlspk.training.network.module import NetworkModule
from mrlspk.training.optimiser import LearningRate, build_learning_rate, build_optimiser

NORM = "backbone.stage0.3.conv_block.norm.running_mean"


def rate(kind, **changes):
    values = {
        "steps_per_epoch": 10,
        "num_epochs": 6,
        "warmup_epochs": 1.0,
        "floor": 0.01,
        "step_epochs": 2,
        "gamma": 0.5,
    }
    return LearningRate(kind, **(values | changes))


def test_warmup_rises_in_equal_steps():
    schedule = rate("cosine")
    assert [schedule.factor(step) for step in (0, 4, 9)] == pytest.approx([1 / 11, 5 / 11, 10 / 11])


@pytest.mark.parametrize(("step", "expected"), [(10, 1.0), (35, 0.01 + 0.99 / 2), (60, 0.01), (80, 0.01)])
def test_cosine_goes_from_peak_to_floor(step, expected):
    assert rate("cosine").factor(step) == pytest.approx(expected)


@pytest.mark.parametrize(("step", "expected"), [(10, 1.0), (29, 1.0), (30, 0.5), (50, 0.25)])
def test_step_schedule_falls_every_two_epochs(step, expected):
    assert rate("step").factor(step) == pytest.approx(expected)


def test_exponential_schedule_has_its_factor_each_epoch_and_a_floor():
    schedule = rate("exponential", num_epochs=100)
    assert schedule.factor(30) == pytest.approx(0.25)
    assert schedule.factor(900) == 0.01


def build(*overrides, backbone=TINY):
    config = load_config(
        None,
        [
            "model.pretrained.use_pretrained=false",
            "model.backbone={F: 72}",
            "model.matryoshka_dims=[4, 8]",
            *overrides,
        ],
    )
    encoder = build_encoder(describe_architecture(backbone, (4, 8)))
    criterion = build_loss(config.loss, dims=(4, 8), weights=(1, 1), n_speakers=5)
    return config, encoder, criterion, build_optimiser(config, encoder, criterion)


def ids(parameters):
    return sorted(id(parameter) for parameter in parameters)


def test_every_trainable_parameter_is_in_the_optimiser_once():
    _, encoder, criterion, optimiser = build("training.freeze_backbone_epochs=0")
    held = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    wanted = [p for p in encoder.parameters() if p.requires_grad] + list(criterion.parameters())
    assert ids(held) == ids(wanted)


def test_projection_only_holds_head_and_class_weights_only():
    _, encoder, criterion, optimiser = build("training.freeze_backbone_epochs=null")
    held = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    assert ids(held) == ids([*encoder.head.parameters(), *criterion.parameters()])


def test_prototypes_have_their_own_rate_and_vectors_do_not_decay():
    config, _, criterion, optimiser = build("loss.class_lr_multiplier=5", "training.freeze_backbone_epochs=0")
    build_learning_rate(config, steps_per_epoch=10).apply(optimiser, 10)
    matrices, vectors, classes = optimiser.param_groups
    assert classes["params"] == list(criterion.parameters())
    assert classes["lr"] == pytest.approx(5 * matrices["lr"])
    assert matrices["weight_decay"] == config.training.weight_decay
    assert vectors["weight_decay"] == 0
    assert all(parameter.ndim <= 1 for parameter in vectors["params"])


def test_triplets_have_no_class_weights_to_optimise():
    *_, optimiser = build("loss.type=Triplet", "data.sampler=speaker_balanced", "data.utterances_per_speaker=2")
    assert len(optimiser.param_groups) == 2


def test_sgd_takes_its_momentum():
    *_, optimiser = build("training.optimizer=SGD", "training.momentum=0.8")
    assert isinstance(optimiser, torch.optim.SGD)
    assert {group["momentum"] for group in optimiser.param_groups} == {0.8}
    assert not math.isnan(optimiser.param_groups[0]["lr"])


DEEP = ReDimNetConfig(
    F=8,
    C=4,
    block_1d_type="conv",
    stages_setup=((1, 1, 1, ((3, 3),), None), (2, 1, 1, ((3, 3),), 4), (1, 1, 1, ((3, 3),), None)),
)
DEEP2 = ReDimNet2Config(
    F=8,
    C=4,
    block_1d_type="conv",
    out_channels=16,
    dual_agg=True,
    stages_setup=(((1, 1), 1, 1, ((3, 3),), 4), ((2, 2), 1, 1, ((3, 3),), None)),
)


def rates_by_name(encoder, optimiser):
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    return {
        names[id(parameter)]: group["peak_lr"]
        for group in optimiser.param_groups
        for parameter in group["params"]
        if id(parameter) in names
    }


def test_depth_grows_from_the_head_to_the_stem():
    depths = layer_depths(build_encoder(describe_architecture(DEEP, (4, 8))))
    assert depths == {
        "head": 0,
        "pool": 1, "backbone.fin_wght1d": 1, "backbone.mfa": 1,
        "backbone.stage2": 2, "backbone.stage1": 3, "backbone.stage0": 4,
        "backbone.stem": 5, "spec": 5,
    }  # fmt: skip


def test_both_halves_of_a_stage_of_redimnet2_have_its_depth():
    depths = layer_depths(build_encoder(describe_architecture(DEEP2, (4, 8))))
    assert {name: depth for name, depth in depths.items() if "stage0" in name} == dict.fromkeys(
        ("backbone.stage0_pre", "backbone.stage0_1d", "backbone.stage0_up_2d", "backbone.stage0_up_1d"), 3
    )
    assert (depths["backbone.stage1"], depths["backbone.head"], depths["backbone.stem_gnorm"]) == (2, 1, 4)


def test_rates_fall_with_the_distance_from_the_head():
    _, encoder, criterion, optimiser = build(
        "training.freeze_backbone_epochs=0",
        "training.learning_rate=0.1",
        "training.backbone_lr_multiplier=0.5",
        "training.layer_lr_decay=0.8",
        "loss.class_lr_multiplier=10",
        backbone=DEEP,
    )
    found = rates_by_name(encoder, optimiser)
    shares = {
        "head.linear.weight": 1.0,
        "pool.linear1.weight": 0.5 * 0.8,
        "backbone.fin_wght1d.w": 0.5 * 0.8,
        "backbone.stage2.2.weight": 0.5 * 0.8**2,
        "backbone.stage1.2.weight": 0.5 * 0.8**3,
        "backbone.stage0.2.bias": 0.5 * 0.8**4,
        "backbone.stem.0.weight": 0.5 * 0.8**5,
    }
    assert {name: found[name] for name in shares} == pytest.approx({name: 0.1 * s for name, s in shares.items()})
    assert optimiser.param_groups[0]["peak_lr"] == 0.1  # the rate that a run reports
    assert optimiser.param_groups[-1]["params"] == list(criterion.parameters())
    assert optimiser.param_groups[-1]["peak_lr"] == pytest.approx(1.0)


def test_layer_rates_cover_each_parameter_once_and_decay_matrices():
    overrides = "training.freeze_backbone_epochs=0", "training.layer_lr_decay=0.9"
    config, encoder, criterion, optimiser = build(*overrides, backbone=DEEP)
    held = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    assert ids(held) == ids([*(p for p in encoder.parameters() if p.requires_grad), *criterion.parameters()])
    for group in optimiser.param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == config.training.weight_decay}


def test_unfreezing_keeps_the_optimiser_state_of_other_parts():
    config, encoder, criterion, optimiser = build("training.freeze_backbone_epochs=1", "training.weight_decay=0.5")
    module = NetworkModule(encoder, criterion)
    generator = torch.Generator().manual_seed(0)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}

    def step(*, frozen):
        set_training_mode(encoder, backbone_frozen=frozen)
        optimiser.zero_grad(set_to_none=True)
        waveform = torch.randn(4, 8000, generator=generator)
        module(waveform, torch.tensor([0, 1, 2, 3])).total.backward()
        optimiser.step()

    for _ in range(3):
        step(frozen=True)
    stem, head = encoder.backbone.stem[0].weight, encoder.head.linear.weight
    moved = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith("head.")}
    assert stem not in optimiser.state
    average = optimiser.state[head]["exp_avg"].clone()
    step(frozen=False)
    assert (int(optimiser.state[head]["step"]), int(optimiser.state[stem]["step"])) == (4, 1)
    assert torch.allclose(optimiser.state[head]["exp_avg"], 0.9 * average + 0.1 * head.grad, rtol=1e-4, atol=1e-5)
    assert not torch.equal(stem, before["backbone.stem.0.weight"])
    assert not torch.equal(encoder.backbone.stage0[3].conv_block.norm.running_mean, before[NORM])
