"""Numbers and names that no run can mean are refused, with their key, wherever they are set."""

import typing

import pytest

from mrlspk.config import Config, load_config
from mrlspk.config.keys import section_of
from mrlspk.errors import ConfigError

NO_RUN = (".inf", "-.inf", ".nan", "-1.0e+30", "1.0e+30", "1" + "0" * 23, "9" * 400)


def numbers_in(annotation):
    """Return whether an annotation allows a number somewhere."""
    return annotation in {int, float} or any(map(numbers_in, typing.get_args(annotation)))


def numeric_keys(section=Config, prefix=""):
    """Yield every key that takes numbers, and a value for it with ``{}`` in the place of a number."""
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if inner:
            yield from numeric_keys(inner, f"{prefix}{name}.")
        elif numbers_in(field.annotation):
            yield f"{prefix}{name}", "{}"
            yield f"{prefix}{name}", "[{}]"
            yield f"{prefix}{name}", "[{}, {}]"
            yield f"{prefix}{name}", "{{8: {}}}"


def test_the_keys_of_every_section_are_tried():
    keys = {key for key, _ in numeric_keys()}
    assert {"seed", "loss.scale", "data.volume_range", "model.backbone.C", "training.lora.rank"} <= keys
    assert len(keys) > 70


@pytest.mark.parametrize("value", NO_RUN)
def test_no_key_takes_a_number_that_no_run_can_mean(value):
    for key, form in numeric_keys():
        with pytest.raises(ConfigError) as caught:
            load_config(overrides=[f"{key}={form.format(value, value)}"])
        assert key in str(caught.value)
        assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "setting",
    [
        "loss.scale=.inf",
        "data.chunk_duration=1.0e+9",
        "training.learning_rate=1.0e+30",
        "training.betas=[0.9, 1.0]",
        "data.num_workers=100000",
        "hardware.device=cuda:99999999999999999999",
        "hardware.device=cuda:²",
        "loss.margin=4",
    ],
)
def test_a_value_beyond_its_bound_is_refused(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        load_config(overrides=[setting])


@pytest.mark.parametrize(
    "name",
    [
        *(".", "..", "", " ", " a", "a ", "a/b", "/tmp/a", "a\\b", "a\nb", "a\x1bb", "a\0b", "é" * 101, "\u200e"),
        *("a\u2028b", "\x7f"),
    ],
)
def test_a_run_name_that_is_no_plain_folder_is_refused(name):
    with pytest.raises(ConfigError, match=r"logging\.run_name"):
        load_config(environment={"MRLSPK_LOGGING__RUN_NAME": f'"{name.encode("unicode_escape").decode()}"'})


@pytest.mark.parametrize("name", ["a", "2026-11-29", "run 1", "...", ".a", "é" * 100, "run[1]", "-", "a*"])
def test_a_run_name_that_is_a_plain_folder_is_kept(name):
    assert load_config(overrides=[f'logging.run_name="{name}"']).logging.run_name == name


def test_a_path_with_a_nul_is_refused():
    with pytest.raises(ConfigError, match=r"logging\.save_dir \(`set`\): holds a NUL character"):
        load_config(overrides=['logging.save_dir="a\\0b"'])


def test_every_default_is_within_the_bounds():
    assert Config.model_validate(Config().model_dump()) == Config()
