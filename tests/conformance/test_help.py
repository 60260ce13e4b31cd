"""Pages of help: 80 columns, options in panels, and an example that can be typed."""

import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.cli.help_page import example_lines, summary
from mrlspk.cli.panels import Panel

PYTHON_TYPES = "<str>", "<int", "<float", "list[", "Path]", "[default"
OF_TYPER = {"--install-completion", "--show-completion"}


def commands(command=None, words=("mrlspk",)):
    command = command or typer.main.get_command(app)
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))


ALL = dict(commands())
ALONE = {words: command for words, command in ALL.items() if not hasattr(command, "commands")}


def shown(words):
    result = CliRunner().invoke(app, [*words[1:], "-h"])
    assert result.exit_code == 0
    return result.stdout


def test_summaries_are_sentences_on_one_line_of_80_columns():
    for words, command in ALL.items():
        children = getattr(command, "commands", {})
        lines = shown(words).splitlines() if children else []
        for name, child in children.items():
            text = summary(child)
            [line] = [line for line in lines if line.split()[:1] == [name]]
            assert line.endswith(f"  {text}"), (words, name)
            assert text.endswith("."), (words, name)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_fits_80_columns_and_names_no_python_type(words):
    text = shown(words)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert [name for name in PYTHON_TYPES if name in text] == []


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_has_a_panel_and_help(words):
    options = [each for each in ALL[words].params if each.param_type_name == "option"]
    ours = [each for each in options if not OF_TYPER & set(each.opts)]
    assert [each.opts for each in ours if each.rich_help_panel not in {panel.value for panel in Panel}] == []
    assert [each.name for each in ALL[words].params if not each.help] == []


@pytest.mark.parametrize("words", ALONE, ids=" ".join)
def test_every_command_has_an_example_that_parses(words):
    lines = example_lines(ALONE[words].help)
    assert lines
    for line in lines:
        typed = shlex.split(line)
        assert tuple(typed[: len(words)]) == words
        ALONE[words].make_context(words[-1], typed[len(words) :])
