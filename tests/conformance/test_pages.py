"""Run every command of README, docs/ and CONTRIBUTING on real speech, except those marked ``not run here``."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from conformance.pages import DOCUMENTS, FENCE, ROOT, blocks_of
from conformance.pages_workspace import write_workspace
from mrlspk.cli.app import app

WRITTEN_BY = {
    "commands.md": "write_reference.py",
    "configuration.md": "write_reference.py",
    "screens.md": "write_screens.py",
}
TESTED_BY = {"python-api.md": "test_python_api.py"}  # on more speech
PAGES = [page for page in DOCUMENTS if page.name not in WRITTEN_BY | TESTED_BY]
RUN = [page for page in PAGES if any(block.runs and not block.reason for block in blocks_of(page))]
SMALL_RUN = {
    "training.num_epochs": 1,
    "training.batch_size": 2,
    "data.n_validation_speakers": 6,
    "data.n_validation_trials": 20,
    "data.chunk_duration": 0.5,
    "data.crops_per_epoch": 4,
    "data.num_workers": 0,
    "logging.tensorboard": "false",
}


def page_id(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, shared):
    """The folder that each page gets a copy of."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        set_up(patch, folder)
        return write_workspace(folder, shared)


@pytest.fixture
def workspace(prepared, tmp_path, monkeypatch):
    folder = shutil.copytree(prepared, tmp_path / "work", symlinks=True)
    set_up(monkeypatch, folder)
    return folder


def set_up(patch, folder):
    """Make a folder the current one, with its own cache of models, and the repository's commands the first."""
    patch.chdir(folder)
    patch.setenv("COLUMNS", "160")
    patch.delenv("MRLSPK_MODEL", raising=False)
    patch.delenv("MRLSPK_MIRROR", raising=False)
    patch.setenv("MRLSPK_CACHE_DIR", str(folder / "cache"))
    patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def made_small(words):
    """Return a command so that it takes seconds, and replaces what an earlier page or block has written."""
    if words[0] == "rotate" and "--vectors" not in words:
        words = [*words, "--crop-seconds", "0.5"]
    if words[0] == "train":
        small = [part for key, value in SMALL_RUN.items() for part in ("--set", f"{key}={value}")]
        if words.count("--vectors") > 1:  # each file has speakers held out
            small = [*small, "--set", "data.n_validation_speakers=12"]
        words = [*words[:1], *small, *words[1:]]
    written = [Path(value) for flag, value in zip(words, words[1:], strict=False) if flag in {"-o", "--write"}]
    return [*words, "--force"] if any(path.exists() for path in written) else words


def run_command(command, output):
    """Run a command; compare the exit code with the output shown, in which an error begins with ``error:``."""
    command = re.sub(r"\bMODEL\b", "model.pt", command)
    if "RUN" in command:
        command = command.replace("RUN", max(Path("checkpoints").iterdir(), key=lambda run: run.stat().st_mtime).name)
    words = shlex.split(command, comments=True)
    if not words:
        return
    if words[0] != "mrlspk" or {">", "|", "&&"} & set(words):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return
    result = CliRunner().invoke(app, made_small(words[1:]))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    errors = re.findall(r"^error: .*", output, re.MULTILINE)
    assert (result.exit_code != 0) == bool(errors), f"{command}\n{result.stderr}"
    assert [error for error in errors if error not in result.stderr] == [], result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=page_id)
@pytest.mark.usefixtures("workspace")
def test_blocks_of_a_page_run_in_order(page):
    names = {}
    for block in blocks_of(page):
        if block.reason:
            continue
        if block.kind == "python":
            exec(compile(f"{'\n' * block.line}{block.body}", str(page), "exec"), names)
        for command, output in block.commands():
            run_command(command, output)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_of_a_page_exist_with_their_flags(page):
    """Also those that are not run: no reason excuses a flag that does not exist."""
    for block in blocks_of(page):
        for command, _ in block.commands():
            if (words := shlex.split(command, comments=True))[:1] == ["mrlspk"]:
                check_command(words[1 : words.index(">") if ">" in words else None])


def find_command(words):
    """Return the command that words lead to, and the words left for it."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def check_command(words):
    command, rest = find_command(words)
    if rest == ["--help"]:
        return
    assert not hasattr(command, "commands") or rest == ["--version"], f"{words} names no command"
    command.make_context("mrlspk", list(rest))  # raises for an unknown flag or a value of the wrong kind


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_in_sentences_exist(page):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for typed in re.findall(r"`mrlspk ([^`]+)`", prose):
        command, rest = find_command(typed.split())
        flags = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
        assert rest != typed.split() or rest[0] in flags, typed
        assert [word for word in rest if re.match(r"-{1,2}[a-z]", word) and word not in flags] == [], typed


def test_most_commands_are_run():
    blocks = [block for page in PAGES for block in blocks_of(page) if block.runs]
    assert sum(block.reason is None for block in blocks) > len(blocks) / 2


@pytest.mark.parametrize(
    ("page", "script"), [each for each in WRITTEN_BY.items() if (ROOT / "docs" / each[0]).exists()]
)
def test_pages_that_are_not_run_are_written_by_a_script(page, script):
    assert page in (ROOT / "scripts" / script).read_text(encoding="utf-8")
