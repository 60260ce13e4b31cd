"""docs/screens.md shows what the commands show now, as far as that needs no speech, within 80 columns."""

import re
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mrlspk.cli.app import app

ROOT = Path(__file__).parents[2]
SCREEN = re.compile(r"```text\n\$ mrlspk ([^\n]+)\n(.*?)\n```", re.DOTALL)
REFRESH = "run .venv/bin/python scripts/write_screens.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts" / "write_screens.py"))


@pytest.fixture(scope="module")
def screens():
    return dict(SCREEN.findall((ROOT / "docs" / "screens.md").read_text(encoding="utf-8")))


def test_every_screen_is_in_the_document_and_fits_80_columns(script, screens):
    assert list(screens) == [command for commands in script["SCREENS"].values() for command in commands]
    assert {name: found for name, text in screens.items() if (found := script["check"](text, text))} == {}


@pytest.mark.parametrize("command", ["--help", "train --help", "pretrained list"])
def test_screens_without_speech_are_current(screens, tmp_path, command):
    shown = CliRunner().invoke(app, command.split(), env={"COLUMNS": "80", "MRLSPK_CACHE_DIR": str(tmp_path)}).stdout
    assert screens[command].split() == shown.split(), REFRESH


def test_words_that_a_narrow_terminal_breaks_are_found(script):
    assert script["check"]("a broken wo\nrd", "a broken word") == ["not a word: rd", "not a word: wo"]
    assert script["check"]("x" * 81, "x" * 81) == [f"too long: {'x' * 81}"]
    assert script["check"](f"To evaluate: mrlspk eval {'x' * 80}", f"To evaluate: mrlspk eval {'x' * 80}") == []
