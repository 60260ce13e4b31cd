import pytest
import yaml

from mrlspk.config import Config, dump_config, load_config, named_keys
from mrlspk.config.keys import known_keys
from mrlspk.config.sources import check_environment
from mrlspk.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write_yaml(text):
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_yaml


def refusal(path=None, overrides=(), environment=None):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, environment=environment)
    return str(caught.value)


def test_nothing_given_means_the_defaults():
    assert load_config() == Config()


def test_precedence_is_defaults_environment_yaml_overrides(write):
    environment = {"MRLSPK_TRAINING__BATCH_SIZE": "1", "MRLSPK_TRAINING__NUM_EPOCHS": "1", "MRLSPK_SEED": "1"}
    path = write("training: {batch_size: 2, num_epochs: 2}")
    training = load_config(path, ["training.batch_size=3"], environment=environment)
    assert training.training.batch_size == 3
    assert training.training.num_epochs == 2
    assert training.seed == 1
    assert training.training.learning_rate == Config().training.learning_rate


def test_the_last_override_of_a_key_counts():
    assert load_config(None, ["seed=1", "seed=2"]).seed == 2


def test_a_source_changes_only_the_keys_it_names(write):
    config = load_config(write("data: {chunk_duration: 2}"), ["data.num_workers=0"])
    assert (config.data.chunk_duration, config.data.num_workers) == (2.0, 0)
    assert config.data.n_validation_trials == Config().data.n_validation_trials


def test_a_later_file_overrides_the_keys_that_it_names(tmp_path):
    first, second = tmp_path / "recipe.yaml", tmp_path / "gpu.yaml"
    first.write_text("training: {batch_size: 8, num_epochs: 3}\nseed: 1\n")
    second.write_text("training: {batch_size: 64}\n")
    training = load_config([first, second]).training
    assert (training.batch_size, training.num_epochs) == (64, 3)
    assert load_config([second, first]).training.batch_size == 8
    assert named_keys([first, second]) == {"training.batch_size", "training.num_epochs", "seed"}


def test_a_yaml_list_replaces_the_default_whole(write):
    assert load_config(write("model: {matryoshka_dims: [8]}")).model.matryoshka_dims == (8,)


def test_an_empty_yaml_file_means_the_defaults(write):
    assert load_config(write("# nothing yet\n")) == Config()


def test_variables_without_the_prefix_are_ignored():
    assert load_config(environment={"WANDB_API_KEY": "secret", "SEED": "7", "HOME": "/nowhere"}) == Config()


@pytest.mark.parametrize("name", ["MODEL", "CACHE_DIR", "MIRROR", "SHARED", "REQUIRE_SHARED"])
def test_variables_of_the_program_are_not_configuration_keys(name):
    assert load_config(environment={f"MRLSPK_{name}": "value"}) == Config()


def test_a_variable_holds_yaml():
    config = load_config(environment={"MRLSPK_MODEL__MATRYOSHKA_DIMS": "[8, 16]"})
    assert config.model.matryoshka_dims == (8, 16)


def test_a_variable_reaches_keys_in_capitals():
    environment = {"MRLSPK_MODEL__BACKBONE__F": "48", "MRLSPK_MODEL__PRETRAINED__USE_PRETRAINED": "false"}
    backbone = load_config(environment=environment).model.backbone
    assert backbone is not None
    assert backbone.F == 48


@pytest.mark.parametrize(("old", "new"), [("mrl_dims", "matryoshka_dims"), ("mrl_weights", "matryoshka_weights")])
def test_other_names_of_the_widths_are_accepted_everywhere(write, old, new):
    expected = load_config(None, [f"model.{new}=[2, 4, 8]"])
    assert load_config(None, [f"model.{old}=[2, 4, 8]"]) == expected
    assert load_config(write(f"model: {{{old}: [2, 4, 8]}}")) == expected
    assert load_config(environment={f"MRLSPK_MODEL__{old.upper()}": "[2, 4, 8]"}) == expected


def test_another_name_in_a_higher_source_replaces_the_first(write):
    config = load_config(write("model: {matryoshka_dims: [2, 4]}"), ["model.mrl_dims=[8]"])
    assert config.model.matryoshka_dims == (8,)


@pytest.mark.parametrize("value", ["9999", "null"])
def test_never_unfreezing_is_null_or_9999(value):
    assert load_config(None, [f"training.freeze_backbone_epochs={value}"]).training.freeze_backbone_epochs is None


def test_a_number_may_be_written_with_an_exponent_and_no_point(write):
    assert load_config(write("training: {learning_rate: 1e-3}")).training.learning_rate == 1e-3


def test_a_dumped_configuration_loads_as_itself(write):
    overrides = ["model.mrl_dims=[16, 32]", "data.musan_dataset=noise", "evaluation.test_datasets={a: b}"]
    config = load_config(None, [*overrides, "evaluation.trials=[{path: list.txt, audio_root: audio}]"])
    assert load_config(write(dump_config(config))) == config


def test_a_dump_names_every_key_of_the_sections():
    dumped = yaml.safe_load(dump_config(Config()))
    tops = [key for key in known_keys() if "." not in key]
    assert list(dumped) == tops


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("traning.batch_size=3", "training"),
        ("training.btch_size=3", "training.batch_size"),
        ("training.chunk_duration=3", "data.chunk_duration"),
        ("batch_size=3", "training.batch_size"),
        ("model.backbone.hop_lenght=240", "model.backbone.hop_length"),
    ],
)
def test_an_unknown_key_names_the_nearest(override, nearest):
    message = refusal(overrides=[override])
    assert f"{override.split('=')[0].removesuffix('.batch_size')}" in message
    assert f"unknown key; did you mean {nearest}?" in message


def test_each_unknown_key_has_its_own_hint():
    lines = refusal(overrides=["training.lerning_rate=1", "data.chunk_duraton=1", "quux=1"]).splitlines()
    assert lines == [
        "training.lerning_rate (`set`): unknown key; did you mean training.learning_rate?",
        "data.chunk_duraton (`set`): unknown key; did you mean data.chunk_duration?",
        "quux (`set`): unknown key",
        "See docs/configuration.md for every key.",
    ]


def test_file_of_redimnet_mrl_gets_the_command_that_migrates_it(tmp_path):
    path = tmp_path / "old one.yaml"
    path.write_text("advanced: {use_pretrained: true}\ntraining: {batch_size: none}\n")
    message = refusal(path)
    assert message.startswith(f"{path}: is a configuration of redimnet-mrl: 1 of its keys, such as advanced")
    assert message.endswith(f"mrlspk config migrate '{path}' `output='{tmp_path}/old one.mrlspk.yaml'`")
    assert "training.batch_size" not in message


def test_an_unknown_key_far_from_all_points_to_the_reference():
    assert "docs/configuration.md" in refusal(overrides=["quux=1"])


def test_every_problem_is_reported_with_its_source(write):
    path = write("training: {batch_size: 0}")
    message = refusal(path, ["loss.type=Softmax"], {"MRLSPK_DATA__NUM_WORKERS": "-1"})
    assert f"training.batch_size ({path})" in message
    assert "loss.type (`set`)" in message
    assert "data.num_workers (MRLSPK_DATA__NUM_WORKERS)" in message


def test_error_of_a_union_type_names_only_its_key():
    assert refusal(overrides=["evaluation.best_by=eer"]).startswith("evaluation.best_by (`set`): ")


def test_error_across_sections_names_the_keys():
    assert refusal(overrides=["evaluation.best_by=100"]).startswith("evaluation.best_by 100 is not among")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "set: expected 'section.key=value'"),
        ("=3", "set: expected 'section.key=value'"),
        ("model.mrl_dims=[1", "mrl_dims`: is not YAML: line 1, column 3"),
        ("seed.high=1", "seed"),
    ],
)
def test_an_override_that_cannot_be_read_says_why(override, expected):
    assert expected in refusal(overrides=[override])


def test_missing_file_is_named_with_its_path(tmp_path):
    assert f"{tmp_path / 'absent.yaml'}: cannot be read" in refusal(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "expected"), [("a: [", "is not YAML"), ("- a", "expected sections"), ("3", "got a int")]
)
def test_file_that_is_not_yaml_sections_is_refused(write, text, expected):
    path = write(text)
    message = refusal(path)
    assert str(path) in message
    assert expected in message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MRLSPK_MODLE", "MRLSPK_MODEL"),
        ("MRLSPK_CACHEDIR", "MRLSPK_CACHE_DIR"),
        ("MRLSPK_TRAINING__BTCH_SIZE", "MRLSPK_TRAINING__BATCH_SIZE"),
        ("MRLSPK_TRANING__BATCH_SIZE", "MRLSPK_TRAINING__BATCH_SIZE"),
        ("MRLSPK_MODEL__BACKBONE__HOP_LENGHT", "MRLSPK_MODEL__BACKBONE__HOP_LENGTH"),
    ],
)
def test_an_unknown_variable_names_the_nearest_variable(name, nearest):
    assert refusal(environment={name: "1"}) == f"{name}: unknown variable; did you mean {nearest}?"


@pytest.mark.parametrize(
    "name", ["MIRROR", "SEED", "MODEL__BACKBONE__F", "MODEL__MRL_DIMS", "EVALUATION__TEST_DATASETS__ENGLISH"]
)
def test_known_variables_pass_the_check(name):
    check_environment({f"MRLSPK_{name}": "1", "OTHER_MODLE": "1"})
