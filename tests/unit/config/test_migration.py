import pytest
import yaml

from mrlspk.config import Config, load_config
from mrlspk.config.architecture import PublishedReDimNetConfig
from mrlspk.config.keys import known_keys
from mrlspk.config.migration import migrate, render_file
from mrlspk.config.migration_table import old_keys
from mrlspk.config.redimnet_mrl import PredecessorAdvanced, PredecessorModel
from mrlspk.errors import ConfigError
from predecessor_file import DROPPED, MEANT, old_names, old_values

SCRATCH = {"advanced": {"use_pretrained": False}}
TRIPLET = {"loss": {"type": "Triplet"}}
FROZEN = {"advanced": {"freeze_backbone_epochs": 9999}}


def migrated(**changes):
    return migrate(old_values(**changes), "old.yaml")


def config_of(**changes):
    return migrated(**changes).config


def checks_of(**changes):
    return "\n".join(migrated(**changes).warnings)


def reloaded(tmp_path, migration):
    path = tmp_path / "new.yaml"
    path.write_text(render_file(migration, "old.yaml"), encoding="utf-8")
    return load_config(path)


def test_every_key_of_the_old_file_is_in_the_table_and_no_other():
    assert sorted(old_keys()) == sorted(old_names())
    assert len(old_keys()) == 81


def test_keys_that_old_checkpoints_carry_are_in_the_table():
    carried = {f"model.{name}" for name in PredecessorModel.model_fields}
    carried |= {f"advanced.{name}" for name in PredecessorAdvanced.model_fields}
    assert carried <= set(old_keys())


def test_new_keys_of_the_table_exist():
    named = {row.new for row in old_keys().values()} - {None}
    named |= {new for row in old_keys().values() for extra in row.adds.values() for new in extra}
    assert named - set(known_keys()) == set()


def test_conditions_of_the_table_name_old_keys():
    assert {other for row in old_keys().values() for other in row.when} <= set(old_keys())


@pytest.mark.parametrize("changes", [{}, SCRATCH, TRIPLET, {"evaluation": {"use_eer_validation": False}}])
def test_every_old_key_is_reported_once_and_drops_have_a_reason(changes):
    migration = migrated(**changes)
    listed = [*(key.old for key in migration.mapped), *(key.old for key in migration.dropped)]
    assert sorted(listed) == sorted(old_names())
    assert [key.old for key in migration.dropped if not key.reason] == []


def test_the_complete_file_drops_what_has_no_meaning_here():
    assert {key.old for key in migrated().dropped} == DROPPED


def test_complete_file_migrates_to_the_same_meaning():
    assert config_of() == Config.model_validate(MEANT)


def test_the_new_file_holds_what_differs_and_loads_to_the_same(tmp_path):
    migration = migrated()
    assert reloaded(tmp_path, migration) == migration.config
    text = (tmp_path / "new.yaml").read_text()
    assert yaml.safe_load(text) == MEANT
    assert "  noise_snr_range: [10.0, 25.0]  # data.noise_snr_range\n" in text


def test_what_to_check_is_in_the_report_and_in_the_new_file(tmp_path):
    migration = migrated()
    reloaded(tmp_path, migration)
    lines = (tmp_path / "new.yaml").read_text().splitlines()
    assert len(migration.warnings) == len(old_checks())
    assert {f"# - {key}: {check}" for key, check in old_checks().items()} <= set(lines)


def old_checks():
    """Return what the complete file needs to have checked: every check but that of Triplet."""
    return {key: row.check for key, row in old_keys().items() if row.check is not None and key != "loss.type"}


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        (TRIPLET, "loss.triplet_margin, a margin on 1 - cosine"),
        ({"training": {"accumulation_steps": 2}}, "logging.log_interval counts optimiser steps"),
        ({"data": {"volume_range": [-2, 2]}}, "redimnet-mrl ignored it and used [-3, 3]"),
        ({"hardware": {"mixed_precision": True}}, "ran in fp32"),
        ({"hardware": {"distributed": True}}, "set hardware.devices"),
        ({"advanced": {"freeze_backbone_epochs": 12}}, "write null if the backbone stays frozen"),
        ({"evaluation": {"test_pairs": "pairs.txt"}}, "add the list to evaluation.trials"),
    ],
)
def test_a_value_whose_meaning_changes_is_to_be_checked(changes, checked):
    assert checked in checks_of(**changes)


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        ({"loss": {"type": "AAMSoftmax"}}, "loss.type"),
        ({"training": {"accumulation_steps": 1}}, "logging.log_interval"),
        ({"data": {"volume_range": [-3, 3]}}, "data.volume_range"),
        ({"hardware": {"mixed_precision": False}}, "hardware.mixed_precision"),
        ({"advanced": {"freeze_backbone_epochs": 9999}}, "advanced.freeze_backbone_epochs"),
        ({"advanced": {"use_pretrained": False}}, "advanced.pretrained_checkpoint"),
        ({"model": {"mrl_dims": [64, 128, 192], "mrl_weights": None}}, "model.mrl_dims"),
    ],
)
def test_a_value_with_the_same_meaning_needs_no_check(changes, checked):
    assert checked in checks_of() or checked == "loss.type"
    assert checked not in checks_of(**changes)


def test_migrating_only_defaults_writes_no_keys(tmp_path):
    migration = migrate({"model": {"embed_dim": 192}, "seed": 42, "loss": {"scale": 30}}, "old.yaml")
    assert migration.keys == {}
    assert reloaded(tmp_path, migration) == Config()


@pytest.mark.parametrize(
    "text", ["a: b", "# no", "two\nlines", "na\u00efve", "null", "1e-4", "\u2028", "'\"", " x ", "y"]
)
def test_text_survives_the_migrated_file(tmp_path, text):
    path = tmp_path / "new.yaml"
    migration = migrated(logging={"wandb_project": text, "wandb_tags": [text, "z"]})
    path.write_text(render_file(migration, "o\n\u2028ld.yaml"), encoding="utf-8")
    assert load_config(path).logging.wandb_project == text
    assert load_config(path).logging.wandb_tags == (text, "z")


def test_architecture_is_kept_from_scratch_and_the_published_model_is_not(tmp_path):
    migration = migrated(**SCRATCH)
    backbone = migration.config.model.backbone
    assert (backbone.F, backbone.C, backbone.block_1d_type, backbone.block_2d_type) == (72, 12, "att", "basic_resnet")
    assert (backbone.pooling_func, backbone.out_channels, backbone.feat_type) == ("TSTP", 384, "pt_mel")
    assert backbone.feat_agg_dropout == 0.05
    assert backbone.stages_setup == PublishedReDimNetConfig().stages_setup
    assert migration.config.training.freeze_backbone_epochs == 0
    dropped = {key.old for key in migration.dropped}
    assert {"advanced.model_name", "advanced.train_type", "advanced.pretrained_checkpoint", "model.name"} <= dropped
    assert reloaded(tmp_path, migration) == migration.config


@pytest.mark.parametrize(("epochs", "expected"), [(9999, None), (12, 12), (1, 1), (0, 0), (-1, 0)])
def test_migrated_freezing_lasts_as_long_as_before(epochs, expected):
    assert config_of(advanced={"freeze_backbone_epochs": epochs}).training.freeze_backbone_epochs == expected


def test_decay_to_the_start_is_off_with_sgd_whose_rates_it_does_not_bear():
    assert config_of(**FROZEN, training={"optimizer": "SGD", "learning_rate": 0.1}).head.start_decay == 0
    assert config_of(**FROZEN, training={"optimizer": "AdamW"}).head.start_decay == Config().head.start_decay
    with pytest.raises(ConfigError, match=r"head\.start_decay times training\.learning_rate"):
        config_of(**FROZEN, training={"optimizer": "AdamW", "learning_rate": 0.1})


@pytest.mark.parametrize(
    ("name", "step_epochs", "gamma"), [("step", 30, 0.1), ("exponential", 10, 0.95), ("cosine", 10, 0.5)]
)
def test_migrated_schedule_decays_as_before(name, step_epochs, gamma):
    training = config_of(training={"lr_scheduler": name}).training
    assert (training.lr_scheduler, training.lr_step_epochs, training.lr_gamma) == (name, step_epochs, gamma)


def test_triplet_gets_usable_batches_and_keeps_the_margin_of_the_user(tmp_path):
    migration = migrated(**TRIPLET)
    assert "set `loss.triplet_margin`" in next(key.reason for key in migration.dropped if key.old == "loss.margin")
    assert migration.config.loss == Config().loss.model_copy(
        update={"type": "Triplet", "scale": 32.0, "easy_margin": True, "num_subcenters": 2}
    )
    assert (migration.config.data.sampler, migration.config.data.utterances_per_speaker) == ("speaker_balanced", 2)
    assert reloaded(tmp_path, migration) == migration.config


def test_widths_that_do_not_rise_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"model.*matryoshka_dims must rise"):
        config_of(model={"mrl_dims": [160, 32, 96]})


@pytest.mark.parametrize(
    ("scored", "by_eer", "expected"),
    [
        (True, True, "mean_log_eer"),
        (True, False, "loss"),
        (False, True, "loss"),
        (..., ..., "loss"),
        (True, ..., "loss"),
    ],
)
def test_best_checkpoint_is_chosen_by_loss_where_it_was_before(scored, by_eer, expected):
    changes = {"use_eer_validation": scored, "use_eer_for_best_model": by_eer}
    assert config_of(evaluation=changes).evaluation.best_by == expected


@pytest.mark.parametrize(("mixed", "expected"), [(True, "bf16"), (False, "fp32")])
def test_mixed_precision_is_a_number_format(mixed, expected):
    assert config_of(hardware={"mixed_precision": mixed}).hardware.precision == expected


def test_missing_optional_keys_keep_the_old_defaults():
    left_out = dict.fromkeys(("use_pretrained", "train_type", "freeze_backbone_epochs", "model_name"), ...)
    scratch = migrated(advanced=left_out)
    assert not scratch.config.model.pretrained.use_pretrained
    assert scratch.config.training.freeze_backbone_epochs == 0
    fine_tuned = config_of(advanced=left_out | {"use_pretrained": True}, model={"name": "b5"})
    assert (fine_tuned.model.pretrained.train_type, fine_tuned.training.freeze_backbone_epochs) == ("ptn", 0)
    assert fine_tuned.model.pretrained.model_name == "b2"
    reasons = {key.new: key.reason for key in scratch.added}
    assert reasons["model.pretrained.use_pretrained"] == "redimnet-mrl's default without advanced.use_pretrained"


def test_incomplete_file_uses_our_defaults_and_warns():
    migration = migrate({"model": {"mrl_dims": [32, 64], "embed_dim": 64}}, "old.yaml")
    assert migration.config == load_config(overrides=["model.matryoshka_dims=[32, 64]"])
    assert "has no section advanced" in migration.warnings[0]


def test_unknown_keys_are_all_named():
    content = old_values(training={"bach_size": 3}, data={"sampler": "shuffle"})
    content |= {"optim": {"name": "Lion"}, "loss": [1]}
    with pytest.raises(ConfigError) as caught:
        migrate(content, "old.yaml")
    text = str(caught.value)
    assert "training.bach_size: not a key of redimnet-mrl; did you mean training.batch_size?" in text
    assert "data.sampler: a key of mrlspk, not of redimnet-mrl" in text
    assert "optim.name: not a key of redimnet-mrl" in text
    assert "loss: expected keys, got a value" in text


def test_values_that_are_not_allowed_are_all_named_with_their_old_keys():
    changes = {"training": {"batch_size": "many"}, "advanced": {"train_type": "best"}}
    with pytest.raises(ConfigError) as caught:
        config_of(**changes)
    assert "training.batch_size (from training.batch_size in old.yaml)" in str(caught.value)
    assert "model.pretrained.train_type (from advanced.train_type in old.yaml)" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key"),
    [("hardware", "mixed_precision"), ("advanced", "use_pretrained"), ("evaluation", "use_eer_for_best_model")],
)
@pytest.mark.parametrize("value", ["on", "yes", None, [True], 160])
def test_switch_that_is_not_a_boolean_is_an_error(section, key, value):
    with pytest.raises(ConfigError, match=rf"{section}\.{key}: expected true or false"):
        config_of(**{section: {key: value}})


@pytest.mark.parametrize("value", ["5, 12", [5, "12"], [5, None], 5, None, [5, 10**400]])
def test_a_noise_range_that_cannot_be_doubled_is_an_error(value):
    with pytest.raises(ConfigError, match=r"data\.noise_snr_range: expected (a list of|smaller) numbers"):
        config_of(data={"noise_snr_range": value})


@pytest.mark.parametrize("value", [None, "x", 3, [], [1], ["a", "b"], {"a": 1}, [None, 1], float("nan"), True])
def test_any_value_of_a_key_is_migrated_or_refused_by_name(tmp_path, value):
    refusals = dict[str, str]()
    for name in old_names():
        section, _, key = name.partition(".")
        content = old_values(**{section: {key: value}}) if key else old_values() | {section: value}
        try:
            migration = migrate(content, "old.yaml")
        except ConfigError as error:
            refusals[name] = str(error)
        else:
            assert reloaded(tmp_path, migration) == migration.config, name
    new = {name: (old_keys()[name].new or name).rpartition(".")[2] for name in refusals}
    assert {name: text for name, text in refusals.items() if not (name in text or new[name] in text)} == {}
