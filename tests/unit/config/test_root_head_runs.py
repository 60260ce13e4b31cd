"""Keys of runs that train the head alone: widths, margins by width, and what other runs refuse."""

import pytest
from pydantic import ValidationError

from mrlspk.config import Config, dump_config, load_config
from mrlspk.config.loss import LossConfig
from mrlspk.config.model import NARROW_DIMS, ModelConfig
from mrlspk.errors import ConfigError


def test_narrow_widths_are_trained_beside_the_published_ones():
    model = ModelConfig(matryoshka_dims=(64, 128), matryoshka_weights=(2.0, 3.0))
    assert model.dims_in_loss == (*NARROW_DIMS, 64, 128)
    assert model.weights == (*[1.0] * len(NARROW_DIMS), 2.0, 3.0)


@pytest.mark.parametrize("dims", [(NARROW_DIMS[0], 64), (4, NARROW_DIMS[-1]), (2, 4), (NARROW_DIMS[0],)])
def test_repeated_or_too_large_trained_widths_are_refused(dims):
    trained = ModelConfig(matryoshka_dims=dims).dims_in_loss
    assert list(trained) == sorted({*dims, *(dim for dim in NARROW_DIMS if dim < dims[-1])})


def test_named_trained_widths_are_used():
    model = ModelConfig(matryoshka_dims=(8, 64), matryoshka_weights=(0.5, 2.0), trained_dims=(2, 8, 40, 64))
    assert (model.dims_in_loss, model.weights) == ((2, 8, 40, 64), (1.0, 0.5, 1.0, 2.0))
    assert model.embed_dim == 64


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ((64, 8), "must rise"),
        ((8, 8, 64), "must rise"),
        ((8,), r"\[64\] are missing"),
        ((8, 64, 128), "reach to 128, beyond the full width 64"),
        ((0, 8, 64), "greater than 0"),
    ],
)
def test_invalid_trained_widths_are_refused(trained, said):
    with pytest.raises(ValidationError, match=said):
        ModelConfig(matryoshka_dims=(8, 64), trained_dims=trained)


def test_margin_shares_are_read_from_every_source(tmp_path):
    path = tmp_path / "shares.yaml"
    path.write_text("loss: {margin_shares: {8: 0.25, 64: 1}}")
    expected = {8: 0.25, 64: 1.0}
    assert load_config(path).loss.margin_shares == expected
    assert load_config(None, ["loss.margin_shares={8: 0.25, 64: 1}"]).loss.margin_shares == expected
    environment = {"MRLSPK_LOSS__MARGIN_SHARES": "{8: 0.25, 64: 1}"}
    assert load_config(environment=environment).loss.margin_shares == expected
    assert load_config(None, ["loss.margin_shares={}"]).loss.margin_shares == {}


def test_margin_shares_survive_saved_configs_and_checkpoints(tmp_path):
    config = load_config(None, ["loss.margin_shares={8: 0.25}"])
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("shares", ["{0: 0.5}", "{8: 1.5}", "{8: -0.1}", "{wide: 0.5}"])
def test_invalid_margin_shares_are_refused(shares):
    with pytest.raises(ConfigError, match="margin_shares"):
        load_config(None, [f"loss.margin_shares={shares}"])


@pytest.mark.parametrize("frozen", ["0", "3"])
@pytest.mark.parametrize(
    "setting",
    ["loss.distillation_weight=0.5", "head.trained=orthogonal", "head.trained=none", "head.start=random"],
)
def test_head_only_settings_are_refused_in_other_runs(setting, frozen):
    with pytest.raises(ConfigError, match="freeze_backbone_epochs null"):
        load_config(None, [f"training.freeze_backbone_epochs={frozen}", setting])
    config = load_config(None, ["training.freeze_backbone_epochs=null", setting])
    assert config.trains_head_alone


def test_run_with_adapters_is_not_head_only():
    assert not load_config(None, ["training.lora={}", "training.freeze_backbone_epochs=null"]).trains_head_alone


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["loss.distillation_teacher=other.pt", "training.freeze_backbone_epochs=0"],
            "loss.distillation_teacher needs training.freeze_backbone_epochs null",
        ),
        (["loss.distillation_teacher=other.pt", "loss.distillation_weight=0"], "distillation_weight above zero"),
        (
            [
                "head.trained=none",
                "loss.type=Triplet",
                "data.sampler=speaker_balanced",
                "data.utterances_per_speaker=2",
            ],
            "nothing to train",
        ),
        (["head.trained=orthogonal", "training.average_last=2"], "mean of rotations"),
        (["data.spec_augment_probability=0.5"], "data.spec_augment_probability masks the log-mel features"),
        (["data.augmentation_device=cuda"], "augmented once, by the decoding processes"),
    ],
)
def test_contradictory_head_only_settings_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        load_config(None, ["training.freeze_backbone_epochs=null", "training.num_epochs=4", *settings])


def test_falling_margin_is_refused():
    with pytest.raises(ValidationError, match="margin_full_epoch must be after"):
        LossConfig(margin_start=0.2, margin_start_epoch=4, margin_full_epoch=2)
