import ast
from pathlib import Path

import pytest
from typer.main import get_command

import mrlspk
from mrlspk.cli.app import app
from mrlspk.cli.flag_names import FLAGS, error_text, with_flags
from mrlspk.errors import UsageError

SOURCE = Path(mrlspk.__file__).parent


def options(command):
    """Return every option string of a command and of the commands below it."""
    found = {option for parameter in command.params for option in parameter.opts}
    return found.union(*(options(each) for each in getattr(command, "commands", {}).values()))


def test_every_flag_exists_on_the_command_line():
    assert set(FLAGS.values()) <= options(get_command(app))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Give `audio_root` too.", "Give --audio-root too."),
        ("Resume with `resume=runs/a b`.", "Resume with --resume runs/a b."),
        ("`allow_changes=True` accepts them.", "--allow-changes accepts them."),
        ("Type `mrlspk pretrained list`.", "Type `mrlspk pretrained list`."),
        ("Set `nothing_known`.", "Set `nothing_known`."),
    ],
)
def test_mention_of_a_parameter_becomes_its_flag(text, shown):
    assert with_flags(text) == shown


def test_error_names_parameter_in_python_and_flag_on_the_command_line():
    error = UsageError("no width 7", "model.pt", "See `dims`.", parameter="dims")
    assert str(error) == "dims, model.pt: no width 7\nSee `dims`."
    assert error_text(error) == "--dims, model.pt: no width 7\nSee --dims."


def test_core_names_parameters_that_the_command_line_knows():
    python = {"inference/speaker_encoder.py", "index/queries.py", "index/voice_index.py"}  # arrays, or no recordings
    others = {"cli", *python}
    core = [path for path in SOURCE.rglob("*.py") if others.isdisjoint(_names(path))]
    calls = (node for path in core for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    named = {
        keyword.value.value
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "parameter" and isinstance(keyword.value, ast.Constant)
    }
    assert named
    assert named <= FLAGS.keys()


def _names(path):
    relative = path.relative_to(SOURCE)
    return relative.parts[0], relative.as_posix()
