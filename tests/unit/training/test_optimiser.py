import math

import pytest
import torch

from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.config.backbone import ReDimNetConfig
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import build_encoder
from mrlspk.training.optimiser import LearningRate, build_learning_rate, build_optimiser

TINY = ReDimNetConfig(F=8, C=4, block_1d_type="conv", stages_setup=((1, 1, 1, ((3, 3),), None),))


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


def build(*overrides):
    config = load_config(
        None,
        [
            "model.pretrained.use_pretrained=false",
            "model.backbone={F: 72}",
            "model.matryoshka_dims=[4, 8]",
            *overrides,
        ],
    )
    encoder = build_encoder(describe_architecture(TINY, (4, 8)))
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


def test_class_weights_have_their_own_rate_and_vectors_do_not_decay():
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
