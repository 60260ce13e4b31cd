"""Every example configuration loads, and every key of the configuration is shown and read."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.keys_read import keys_read
from mrlspk.config import Config, load_config
from mrlspk.config.keys import known_keys

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
FITTED = sorted((ROOT / "configs" / "gpu").glob("*.yaml"))  # written by `mrlspk gpu-profile`
SOURCE = ROOT / "src" / "mrlspk"
LEAVES = [key for key in known_keys() if not any(other.startswith(f"{key}.") for other in known_keys())]


def dotted_keys(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a YAML mapping that hold values."""
    for name, value in content.items():
        if isinstance(value, dict) and value and prefix + name not in LEAVES:  # the value of some keys is a mapping
            yield from dotted_keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


@cache
def read_keys() -> frozenset[str]:
    """Return the dotted keys that the package reads."""
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    inside = [text for path, text in texts.items() if path.is_relative_to(SOURCE / "config")]
    outside = [text for path, text in texts.items() if not path.is_relative_to(SOURCE / "config")]
    return frozenset(keys_read(Config, outside, inside))


@pytest.mark.parametrize("path", [*CONFIGS, *FITTED], ids=lambda path: path.name)
def test_every_example_loads(path):
    assert isinstance(load_config(path), Config)


def test_there_is_a_fitted_configuration_for_every_gpu_size():
    assert {path.name for path in FITTED} == {f"{gib}gib.yaml" for gib in (8, 12, 16, 24, 40, 80)}
    assert {path.parent for path in (ROOT / "configs").rglob("*.yaml")} == {ROOT / "configs", ROOT / "configs" / "gpu"}


@pytest.mark.parametrize("path", FITTED, ids=lambda path: path.name)
def test_a_fitted_configuration_is_a_batch_in_bf16_over_the_recipe(path):
    recipe = ROOT / "configs" / "fine-tune.yaml"
    fitted, plain = load_config([recipe, path]), load_config(recipe, ["hardware.precision=bf16"])
    batch, steps = fitted.training.batch_size, fitted.training.accumulation_steps
    assert 512 <= batch * steps < 512 + steps
    chosen = {"batch_size": batch, "accumulation_steps": steps}
    assert fitted == plain.model_copy(update={"training": plain.training.model_copy(update=chosen)})
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 5


@pytest.mark.parametrize("path", FITTED, ids=lambda path: path.name)
def test_fitted_configuration_names_its_origin_and_gpu_size(path):
    heading = path.read_text(encoding="utf-8").splitlines()[0]
    assert f"For a GPU of {path.stem.removesuffix('gib')} GiB, over configs/fine-tune.yaml" in heading
    assert "a prediction, not measured on a GPU" in heading


@pytest.mark.parametrize("path", FITTED, ids=lambda path: path.name)
def test_document_has_the_numbers_of_a_fitted_configuration(path):
    expected, usable = re.findall(r"\d+", path.read_text(encoding="utf-8").splitlines()[1])
    training = load_config(path).training
    cells = path.stem.removesuffix("gib") + " GiB", training.batch_size, training.accumulation_steps
    row = "| {} | {} | {} | {:,} | {:,} |".format(*cells, int(expected), int(usable))
    assert row in (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


def test_default_yaml_equals_the_defaults():
    assert load_config(ROOT / "configs" / "default.yaml") == Config()


SHOWN_ELSEWHERE = {"model.backbone": "scratch-small.yaml", "training.lora": "lora.yaml"}  # sections that may be null


def test_examples_show_every_key():
    def shown_in(name):
        return set(dotted_keys(yaml.safe_load((ROOT / "configs" / name).read_text(encoding="utf-8"))))

    shown = shown_in("default.yaml") - SHOWN_ELSEWHERE.keys()
    for section, name in SHOWN_ELSEWHERE.items():
        shown |= {key for key in shown_in(name) if key.startswith(f"{section}.")}
    assert shown == set(LEAVES)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_key_has_a_comment(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if ": " in line and not line.startswith("#")]
    assert [line for line in values if "#" not in line] == []


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_is_read_outside_the_configuration(key):
    assert key in read_keys()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return config.training.batch_size", {"training", "training.batch_size"}),
        ("return sum(batch.batch_size for batch in evaluation)", set()),
        ("data = config.data\n    return data.num_workers", {"data", "data.num_workers"}),
        (
            "settings, other = (config or Config()).evaluation, 1\n    settings.best_by",
            {"evaluation", "evaluation.best_by"},
        ),
        ("return read().hardware.device", {"hardware", "hardware.device"}),
        ("return run.config.seed", {"seed"}),
        ("return loss.type", {"loss.type"}),
        ("config.data.sampler = 1", {"data"}),
        ("return config.model.weights", {"model", "model.matryoshka_weights", "model.matryoshka_dims"}),
        ("return config.model.embed_dim", {"model", "model.matryoshka_dims"}),
        ("return run.settings.seed", {"seed"}),
    ],
)
def test_a_key_counts_as_read_in_its_own_section_only(body, expected):
    source = f"""
class Run:
    config: Config

    @property
    def settings(self) -> Config: ...

def read() -> Config: ...

def f(config: Config | None, run: "Run", loss: LossConfig, batch: Batch, evaluation):
    {body}
"""
    inside = [path.read_text(encoding="utf-8") for path in (SOURCE / "config").rglob("*.py")]
    assert keys_read(Config, [source], inside) == expected


@pytest.mark.slow
def test_key_read_in_one_place_is_missed_if_that_is_gone():
    places = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if "config" not in path.parts}
    blind = [
        text.replace("evaluation.batch_size", "training.batch_size")
        .replace("settings.batch_size", "16")
        .replace("usual.batch_size", "16")
        for text in places.values()
    ]
    assert "evaluation.batch_size" in keys_read(Config, places.values())
    assert "evaluation.batch_size" not in keys_read(Config, blind)
