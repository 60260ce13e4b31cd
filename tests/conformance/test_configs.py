"""Every example configuration loads, and every key of the configuration is shown and read."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from mrlspk.config import Config, load_config
from mrlspk.config.sources import known_keys

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
SOURCE = ROOT / "src" / "mrlspk"
LEAVES = [key for key in known_keys() if not any(other.startswith(f"{key}.") for other in known_keys())]


def dotted_keys(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a YAML mapping that hold values."""
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from dotted_keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def attributes_read(tree: ast.AST) -> set[str]:
    """Return the names of all attributes that a piece of code reads."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def properties(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(mark) == "property" for mark in node.decorator_list):
            yield node


@cache
def names_read() -> frozenset[str]:
    """Return the attributes read by the code that knows the configuration, directly or through its properties."""
    sources = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    inside = {path: text for path, text in sources.items() if path.is_relative_to(SOURCE / "config")}
    outside = [text for path, text in sources.items() if path not in inside and "mrlspk.config" in text]
    names = set().union(*(attributes_read(ast.parse(text)) for text in outside))
    for text in inside.values():
        for node in properties(ast.parse(text)):
            names |= attributes_read(node) if node.name in names else set()
    return frozenset(names)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_example_loads(path):
    assert isinstance(load_config(path), Config)


def test_default_yaml_equals_the_defaults():
    assert load_config(ROOT / "configs" / "default.yaml") == Config()


def test_default_yaml_shows_every_key_and_scratch_small_those_of_the_backbone():
    default, scratch = (
        set(dotted_keys(yaml.safe_load((ROOT / "configs" / name).read_text(encoding="utf-8"))))
        for name in ("default.yaml", "scratch-small.yaml")
    )
    shown = default - {"model.backbone"} | {key for key in scratch if key.startswith("model.backbone.")}
    assert shown == set(LEAVES)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_key_has_a_comment(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if ": " in line and not line.startswith("#")]
    assert [line for line in values if "#" not in line] == []


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_is_read_outside_the_configuration(key):
    assert key.rsplit(".", 1)[-1] in names_read()


def test_a_key_that_nothing_reads_would_be_noticed():
    assert "wandb_watch_model" not in names_read()
