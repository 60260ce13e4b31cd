"""The reference documents say what the code says."""

import runpy
from pathlib import Path

import pytest

from mrlspk.config.keys import known_keys
from mrlspk.config.migration_table import old_keys
from mrlspk.config.reference import render_reference
from mrlspk.pretrained import list_models

ROOT = Path(__file__).parents[2]
REFRESH = "run .venv/bin/python scripts/write_reference.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts" / "write_reference.py"))


def test_configuration_reference_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == render_reference(), REFRESH


def test_configuration_reference_names_every_key():
    rendered = render_reference()
    leaves = {key.rsplit(".", 1)[-1] for key in known_keys()}
    sections = {"model", "head", "loss", "training", "data", "features", "hardware", "logging", "evaluation"}
    sections |= {"pretrained"}
    assert [key for key in leaves - sections if f"| `{key}` |" not in rendered] == []


def test_table_of_problems_is_current(script):
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert script["BEGIN_KINDS"] in text
    assert text == script["render_data"](text), REFRESH


def test_command_reference_is_current(script):
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == script["render_commands"](), REFRESH


def test_command_reference_does_not_depend_on_the_terminal(script, monkeypatch):
    at_home = script["render_commands"]()
    monkeypatch.setenv("COLUMNS", "200")
    assert script["render_commands"]() == at_home


def test_tables_of_published_models_are_current(script):
    text = (ROOT / "docs" / "pretrained-models.md").read_text(encoding="utf-8")
    assert text == script["render_models"](text), REFRESH
    assert all(f"\n| {model.name} |" in text for model in list_models())


def test_tables_of_migrated_keys_are_current(script):
    text = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    assert text == script["render_migration"](text), REFRESH
    assert [key for key in old_keys() if f"\n| `{key}` | " not in text] == []


def test_migration_names_only_keys_that_exist():
    rows = [row.split("|") for row in (ROOT / "docs" / "migration.md").read_text(encoding="utf-8").splitlines()]
    tables = [row for row in rows if len(row) == 5 and row[1].strip().startswith("`")]
    new_keys = {row[2].strip().strip("`") for row in tables} - {"none"}
    assert len(tables) > 60
    assert new_keys <= set(known_keys())
