import pytest
import yaml

from mrlspk.config import Config, load_config
from mrlspk.config.architecture import PublishedReDimNetConfig
from mrlspk.config.migration import kept_keys, migrate, render_file
from mrlspk.config.redimnet_mrl import PredecessorAdvanced, PredecessorModel, old_keys
from mrlspk.config.sources import known_keys
from mrlspk.errors import ConfigError
from predecessor_file import DROPPED, MEANT, old_names, old_values

SCRATCH = {"advanced": {"use_pretrained": False}}


def config_of(**changes):
    return migrate(old_values(**changes), "old.yaml").config


def warnings_of(**changes):
    return "\n".join(migrate(old_values(**changes), "old.yaml").warnings)


def mapped_to(migration):
    return {key.old: key.new for key in migration.mapped}


def test_every_key_of_the_old_file_is_in_the_table_and_no_other():
    assert sorted(old_keys()) == sorted(old_names())
    assert len(old_keys()) == 81


def test_keys_that_old_checkpoints_carry_are_in_the_table():
    carried = {f"model.{name}" for name in PredecessorModel.model_fields}
    carried |= {f"advanced.{name}" for name in PredecessorAdvanced.model_fields}
    assert carried <= set(old_keys())


def test_new_keys_of_the_table_exist_and_dropped_ones_have_a_reason():
    known = set(known_keys())
    assert [row.old for row in old_keys().values() if row.new is not None and row.new not in known] == []
    assert [row.old for row in old_keys().values() if row.new is None and not row.remark] == []


def test_every_old_key_is_reported_once():
    migration = migrate(old_values(), "old.yaml")
    listed = [*(key.old for key in migration.mapped), *(key.old for key in migration.dropped)]
    assert sorted(listed) == sorted(old_names())
    assert {key.old for key in migration.dropped} == DROPPED


def test_complete_file_migrates_to_the_same_meaning():
    assert config_of() == Config.model_validate(MEANT)


def test_the_new_file_holds_what_differs_and_loads_to_the_same(tmp_path):
    migration = migrate(old_values(), "old.yaml")
    path = tmp_path / "new.yaml"
    path.write_text(render_file(migration, "old.yaml"), encoding="utf-8")
    assert load_config(path) == migration.config
    assert yaml.safe_load(path.read_text()) == MEANT
    assert "  noise_snr_range: [10.0, 25.0]  # data.noise_snr_range\n" in path.read_text()


def test_migrating_only_defaults_writes_no_keys(tmp_path):
    migration = migrate({"model": {"embed_dim": 192}, "seed": 42, "loss": {"scale": 30}}, "old.yaml")
    path = tmp_path / "new.yaml"
    path.write_text(render_file(migration, "old.yaml"), encoding="utf-8")
    assert kept_keys(migration) == {}
    assert load_config(path) == Config()


@pytest.mark.parametrize(
    "text", ["a: b", "# no", "two\nlines", "na\u00efve", "null", "1e-4", "\u2028", "'\"", " x ", "y"]
)
def test_text_survives_the_migrated_file(tmp_path, text):
    migration = migrate(old_values(logging={"wandb_project": text, "wandb_tags": [text, "z"]}), "old.yaml")
    path = tmp_path / "new.yaml"
    path.write_text(render_file(migration, "o\n\u2028ld.yaml"), encoding="utf-8")
    assert load_config(path).logging.wandb_project == text
    assert load_config(path).logging.wandb_tags == (text, "z")


def test_architecture_is_kept_from_scratch_and_the_published_model_is_not():
    migration = migrate(old_values(**SCRATCH), "old.yaml")
    backbone = migration.config.model.backbone
    assert (backbone.F, backbone.C, backbone.block_1d_type, backbone.block_2d_type) == (72, 12, "att", "basic_resnet")
    assert (backbone.pooling_func, backbone.out_channels, backbone.feat_type) == ("TSTP", 384, "pt_mel")
    assert backbone.feat_agg_dropout == 0.05
    assert backbone.stages_setup == PublishedReDimNetConfig().stages_setup
    assert migration.config.training.freeze_backbone_epochs == 0
    dropped = {key.old for key in migration.dropped}
    assert {"advanced.model_name", "advanced.train_type", "advanced.pretrained_checkpoint", "model.name"} <= dropped


@pytest.mark.parametrize(
    ("epochs", "expected"), [(9999, None), (12, None), (13, None), (11, 11), (1, 1), (0, 0), (-1, 0)]
)
def test_migrated_freezing_lasts_as_long_as_before(epochs, expected):
    assert config_of(advanced={"freeze_backbone_epochs": epochs}).training.freeze_backbone_epochs == expected


@pytest.mark.parametrize(("rate", "decay"), [(0.0049, 200.0), (0.005, 0.0), (0.1, 0.0)])
def test_decay_is_off_at_a_learning_rate_where_it_undoes_steps(rate, decay):
    config = config_of(advanced={"freeze_backbone_epochs": 9999}, training={"learning_rate": rate})
    assert config.head.start_decay == decay


@pytest.mark.parametrize(
    ("name", "step_epochs", "gamma"), [("step", 30, 0.1), ("exponential", 10, 0.95), ("cosine", 10, 0.5)]
)
def test_migrated_schedule_decays_as_before(name, step_epochs, gamma):
    training = config_of(training={"lr_scheduler": name}).training
    assert (training.lr_scheduler, training.lr_step_epochs, training.lr_gamma) == (name, step_epochs, gamma)


def test_triplet_migrates_to_its_own_margin_and_batches():
    migration = migrate(old_values(loss={"type": "Triplet"}), "old.yaml")
    assert migration.config.loss.triplet_margin == 0.35
    assert migration.config.loss.margin == Config().loss.margin
    assert mapped_to(migration)["loss.margin"] == "loss.triplet_margin"
    assert (migration.config.data.sampler, migration.config.data.utterances_per_speaker) == ("speaker_balanced", 2)
    assert "Euclidean" in "\n".join(migration.warnings)


def test_widths_are_sorted_with_the_weights_that_belong_to_them():
    model = config_of(model={"mrl_dims": [160, 32, 96], "mrl_weights": [1.0, 2.0, 3.0]}).model
    assert model.matryoshka_dims == (32, 96, 160)
    assert model.matryoshka_weights == (2.0, 3.0, 1.0)


def test_equal_weights_are_the_default():
    assert config_of(model={"mrl_weights": [1.0, 1, 1.0]}).model.matryoshka_weights is None


def test_widths_beyond_the_published_ones_are_kept_with_a_warning():
    wide = {"model": {"embed_dim": 256, "mrl_dims": [64, 256], "mrl_weights": None}}
    published = wide | {"advanced": {"pretrained_checkpoint": None}}
    assert config_of(**published).model.matryoshka_dims == (64, 256)
    assert "width 256 is beyond the 192 values" in warnings_of(**published)
    assert "192 values" not in warnings_of(**wide)
    assert "192 values" not in warnings_of(model=wide["model"], **SCRATCH)


def test_embed_dim_beyond_the_trained_widths_is_warned_of():
    assert "the loss used only 160 values" in warnings_of(model={"embed_dim": 192})


@pytest.mark.parametrize(
    ("scored", "by_eer", "folders", "expected"),
    [(True, True, {"a": "b"}, 160), (True, False, {"a": "b"}, "loss"), (False, True, {"a": "b"}, "loss")]
    + [(True, True, {}, "loss"), (..., ..., {"a": "b"}, "loss")],
)
def test_best_checkpoint_is_chosen_as_before(scored, by_eer, folders, expected):
    changes = {"use_eer_validation": scored, "use_eer_for_best_model": by_eer, "test_datasets": folders}
    assert config_of(evaluation=changes).evaluation.best_by == expected


def test_processes_are_those_of_a_distributed_run_only():
    hardware = config_of(hardware={"distributed": False}).hardware
    assert (hardware.devices, hardware.device) == (1, "cuda:1")
    assert "4 times as many" in warnings_of()
    assert "times as many" not in warnings_of(hardware={"distributed": False})


@pytest.mark.parametrize(("mixed", "expected"), [(True, "bf16"), (False, "fp32")])
def test_mixed_precision_is_a_number_format(mixed, expected):
    assert config_of(hardware={"mixed_precision": mixed}).hardware.precision == expected


@pytest.mark.parametrize(("batches", "accumulation", "steps"), [(20, 4, 5), (10, 1, 10), (3, 4, 1), (7, 2, 3)])
def test_batches_between_log_entries_become_optimiser_steps(batches, accumulation, steps):
    changes = {"logging": {"log_interval": batches}, "training": {"accumulation_steps": accumulation}}
    assert config_of(**changes).logging.log_interval == steps


def test_test_folder_that_has_a_name_is_not_added_twice():
    folders = config_of(data={"test_dataset": "speech/clean"}).evaluation.test_datasets
    assert {name: str(path) for name, path in folders.items()} == {"clean": "speech/clean", "noisy": "speech/noisy"}


def test_test_folder_gets_an_unused_name():
    folders = config_of(evaluation={"test_datasets": {"test": "elsewhere"}}).evaluation.test_datasets
    assert {name: str(path) for name, path in folders.items()} == {
        "test": "elsewhere",
        "test_dataset": "speech/held-out",
    }


def test_a_trial_list_without_a_folder_is_dropped_with_a_warning():
    changes = {"data": {"test_dataset": None}}
    assert config_of(**changes).evaluation.trials == ()
    assert "add evaluation.trials yourself: path lists/pairs.txt" in warnings_of(**changes)


def test_missing_optional_keys_keep_the_old_defaults():
    left_out = dict.fromkeys(("use_pretrained", "train_type", "freeze_backbone_epochs", "model_name"), ...)
    scratch = config_of(advanced=left_out)
    assert not scratch.model.pretrained.use_pretrained
    assert scratch.training.freeze_backbone_epochs == 0
    fine_tuned = config_of(advanced=left_out | {"use_pretrained": True}, model={"name": "b5"})
    assert (fine_tuned.model.pretrained.train_type, fine_tuned.training.freeze_backbone_epochs) == ("ptn", 0)
    assert fine_tuned.model.pretrained.model_name == "b2"


def test_incomplete_file_uses_our_defaults_and_warns():
    migration = migrate({"model": {"mrl_dims": [32, 64], "embed_dim": 64}}, "old.yaml")
    assert migration.config == load_config(overrides=["model.matryoshka_dims=[32, 64]"])
    assert "has no section advanced" in migration.warnings[0]


def test_differing_model_names_are_warned_of():
    assert config_of(model={"name": "b6"}).model.pretrained.model_name == "b1"
    assert "model.name is b6" in warnings_of(model={"name": "b6"})


def test_unknown_keys_are_all_named():
    content = old_values(training={"bach_size": 3}, data={"sampler": "shuffle"})
    content |= {"optim": {"name": "Lion"}, "loss": [1]}
    with pytest.raises(ConfigError) as caught:
        migrate(content, "old.yaml")
    text = str(caught.value)
    assert "training.bach_size: not a key of redimnet-mrl; did you mean training.batch_size?" in text
    assert "data.sampler: a key of mrlspk, not of redimnet-mrl" in text
    assert "optim.name: not a key of redimnet-mrl" in text
    assert "loss: expected keys, got [1]" in text


def test_values_that_are_not_allowed_are_all_named_with_their_old_keys():
    changes = {"training": {"batch_size": "many"}, "advanced": {"train_type": "best"}}
    with pytest.raises(ConfigError) as caught:
        config_of(**changes)
    assert "training.batch_size (from training.batch_size in old.yaml)" in str(caught.value)
    assert "model.pretrained.train_type (from advanced.train_type in old.yaml)" in str(caught.value)


@pytest.mark.parametrize("key", ["mixed_precision", "distributed"])
def test_switch_that_is_not_a_boolean_is_an_error(key):
    with pytest.raises(ConfigError, match=rf"hardware\.{key}: expected true or false, got 'on'"):
        config_of(hardware={key: "on"})


@pytest.mark.parametrize("value", [None, "x", 3, [], [1], ["a", "b"], {"a": 1}, [None, 1], float("nan"), True])
def test_any_value_of_a_key_is_migrated_or_refused_by_name(tmp_path, value):
    path, refusals = tmp_path / "new.yaml", dict[str, str]()
    for name in old_names():
        section, _, key = name.partition(".")
        content = old_values(**{section: {key: value}}) if key else old_values() | {section: value}
        try:
            migration = migrate(content, "old.yaml")
        except ConfigError as error:
            refusals[name] = str(error)
        else:
            path.write_text(render_file(migration, "old.yaml"), encoding="utf-8")
            assert load_config(path) == migration.config, name
    new = {name: (old_keys()[name].new or name).rpartition(".")[2] for name in refusals}
    assert {name: text for name, text in refusals.items() if not (name in text or new[name] in text)} == {}
