"""Parts of an encoder: which train, how many values they hold, and that only `models` reaches them."""

import ast
from pathlib import Path

import pytest
import torch

import mrlspk
from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import constants, parameters_by_part, part_of, set_training_mode, train_head

SOURCE = Path(mrlspk.__file__).parent
PARTS = {"spec", "backbone", "pool", "head"}
TINY = ReDimNetConfig(F=8, C=4, stages_setup=((1, 1, 1, ((3, 3),), 4),), out_channels=8)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(describe_architecture(TINY, (4, 8)))


def reaches_inside(tree):
    """Yield the line of each attribute such as ``encoder.head``, ``self._encoder.pool`` or ``encoder.cpu().head``."""
    annotated = {
        each.arg
        for each in ast.walk(tree)
        if isinstance(each, ast.arg) and isinstance(each.annotation, ast.Name) and each.annotation.id == "Encoder"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in PARTS and is_encoder(node.value, annotated):
            yield node.lineno


def is_encoder(node, annotated):
    if isinstance(node, ast.Call):
        called = node.func
        return isinstance(called, ast.Attribute) and is_encoder(called, annotated)
    if isinstance(node, ast.Attribute):
        return node.attr.endswith("encoder") or is_encoder(node.value, annotated)
    return isinstance(node, ast.Name) and (node.id.endswith("encoder") or node.id in annotated)


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("encoder.head", [1]),
        ("encoder.head.linear.weight", [1]),
        ("self._encoder.backbone", [1]),
        ("load(file).encoder.pool", [1]),
        ("encoder.cpu().head", [1]),
        ("def width(model: Encoder):\n    return model.head", [2]),
        ("config.head", []),
        ("encoder.project(pooled)", []),
        ("training.head", []),
    ],
)
def test_search_finds_code_that_reaches_inside_an_encoder(code, lines):
    assert list(reaches_inside(ast.parse(code))) == lines


def test_only_models_reaches_inside_an_encoder():
    files = [path for path in SOURCE.rglob("*.py") if not path.is_relative_to(SOURCE / "models")]
    assert len(files) > 100
    found = [f"{path}:{line}" for path in files for line in reaches_inside(ast.parse(path.read_text()))]
    assert found == []


def test_frozen_backbone_leaves_the_head_in_training_mode(encoder):
    set_training_mode(encoder, backbone_frozen=True)
    assert {name.split(".")[0] for name, each in encoder.named_parameters() if each.requires_grad} == {"head"}
    assert {name.split(".")[0] for name, each in encoder.named_modules() if each.training} == {"", "head"}


def test_unfrozen_backbone_trains_all_but_constants(encoder):
    set_training_mode(encoder, backbone_frozen=False)
    still = [name for name, each in encoder.named_parameters() if not each.requires_grad]
    assert still == ["backbone.stage0.0.w"]
    assert [values.shape for values in constants(encoder)] == [(1, 1, 1, 1)]


def test_train_head_gives_gradients_to_the_head_alone(encoder):
    encoder.requires_grad_(requires_grad=False)
    train_head(encoder)
    assert {name.split(".")[0] for name, each in encoder.named_parameters() if each.requires_grad} == {"head"}


def test_parameters_by_part_match_hand_count(encoder):
    counts = parameters_by_part(encoder)
    assert list(counts) == ["front end", "backbone", "pooling", "head"]
    assert counts["front end"] == 0
    assert counts["pooling"] == (8 * 128 + 128) + (128 * 8 + 8)
    assert counts["head"] == 2 * 16 + (16 * 8 + 8)
    assert sum(counts.values()) == sum(each.numel() for each in encoder.parameters())


@pytest.mark.parametrize(
    ("name", "part"),
    [("head.linear.weight", "head"), ("pool.linear1.bias", "pool"), ("backbone.stage0.2.weight", "backbone.stage0")],
)
def test_part_of_a_parameter_is_its_stage_or_module(name, part):
    assert part_of(name) == part
