"""Core code reads no environment variables and names no flags: both belong to the command line."""

import ast
import re
from pathlib import Path

import pytest

import mrlspk

SOURCE = Path(mrlspk.__file__).parent
CORE = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "cli")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
COMMAND = re.compile(r"\bmrlspk [a-z].*", re.DOTALL)  # a whole command to type names its flags
OF_OTHER_PROGRAMS = {"--nproc-per-node", "--ntasks-per-node", "--shm-size"}  # torchrun, srun, docker

READS_ENVIRONMENT = {
    "__init__.py": "mrlspk.load is a door like the command line, and resolves the settings of the program for Python",
}
NAMES_FLAGS = {
    "config/reference.py": "renders docs/configuration.md, which documents the command line",
    "evaluation/calibration_file.py": "assembles a whole `mrlspk calibrate` command to type",
    "evaluation/trial_list.py": "the source of a trial list as score files and JSON of version 0.1.0 hold it",
    "training/plan.py": "assembles a whole `mrlspk rotate` command to type",
    "pretrained/verification.py": "a line of the record on disk, which version 0.1.0 wrote",
}

BEING_CONVERTED = {"rotation/folds.py", "workflows/rotate.py"}


def texts(tree):
    """Yield every string of a module except docstrings; expressions inside f-strings become ``{}``."""
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    skipped = {body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= set(node.values)
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.value


def flags_named(text):
    tree = ast.parse(text)
    found = {flag for text in texts(tree) for flag in FLAG.findall(COMMAND.sub("", text))}
    return found - OF_OTHER_PROGRAMS


def reads_environment(text):
    nodes = ast.walk(ast.parse(text))
    names = {getattr(node, "attr", getattr(node, "id", None)) for node in nodes}
    imported = {
        alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return bool({"environ", "getenv"} & (names | imported))


def outside(allowed):
    return {str(path.relative_to(SOURCE)): path.read_text(encoding="utf-8") for path in CORE} | dict.fromkeys(
        allowed, ""
    )


def test_core_reads_no_environment_variables():
    assert [name for name, text in outside(READS_ENVIRONMENT).items() if reads_environment(text)] == []


def test_core_names_no_flags():
    named = {name: flags_named(text) for name, text in outside({*NAMES_FLAGS, *BEING_CONVERTED}).items()}
    assert {name: flags for name, flags in named.items() if flags} == {}


@pytest.mark.parametrize("name", [*READS_ENVIRONMENT, *NAMES_FLAGS])
def test_every_exception_is_still_needed(name):
    text = (SOURCE / name).read_text(encoding="utf-8")
    assert reads_environment(text) if name in READS_ENVIRONMENT else flags_named(text)


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        ('raise UsageError("Give --dims.")', {"--dims"}),
        ('raise UsageError(f"{x} needs --dims {y}")', {"--dims"}),
        ('fix = f"Type: mrlspk rotate {x} --dims 64"', set()),
        ('fix = "Give --nproc-per-node the same number."', set()),
        ('def f():\n    """Explain --dims."""', set()),
        ('text = "a -- b, x--y"', set()),
    ],
)
def test_flags_are_found_outside_commands_and_docstrings(code, flags):
    assert flags_named(code) == flags


@pytest.mark.parametrize("code", ["import os\nos.environ['X']", "from os import environ", "os.getenv('X')"])
def test_reading_the_environment_is_found(code):
    assert reads_environment(code)
