"""Help, version, exit codes and errors that all commands share."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest
import yaml

from factories import TINY_RUN
from mrlspk import __version__

pytestmark = pytest.mark.process

COMMANDS = {
    ("data", "check"),
    ("data", "demo"),
    ("config", "migrate"),
    ("pretrained", "list"),
    ("pretrained", "fetch"),
    ("train",),
    ("eval",),
    ("compare",),
    ("embed",),
    ("gpu-profile",),
}

HELP_OF_EVERY_COMMAND = """
import json, sys
import typer.main
from typer.testing import CliRunner
from mrlspk.cli.app import app

def paths(command, words=()):
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, (*words, name))

seen = []
for words in paths(typer.main.get_command(app)):
    result = CliRunner().invoke(app, [*words, "--help"])
    loaded = sorted({"torch", "mrlspk.config", "pydantic"} & set(sys.modules))
    seen.append({"words": words, "exit_code": result.exit_code, "loaded": loaded, "help": result.stdout})
json.dump(seen, sys.stdout)
"""

MISSPELT = "traning.batch_size=3"


def run_python(folder, *arguments):
    """Run Python in a folder, with none of our variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MRLSPK_")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def mrlspk(tmp_path):
    return lambda *arguments: run_python(tmp_path, "-m", "mrlspk", *arguments)


@pytest.fixture(scope="module")
def helps(tmp_path_factory):
    done = run_python(tmp_path_factory.mktemp("help"), "-c", HELP_OF_EVERY_COMMAND)
    return {tuple(seen["words"]): seen for seen in json.loads(done.stdout)}


def test_help_of_every_command_loads_no_torch_config_or_pydantic(helps):
    assert set(helps) >= COMMANDS
    assert {words: seen["exit_code"] for words, seen in helps.items() if seen["exit_code"]} == {}
    assert {words: seen["loaded"] for words, seen in helps.items() if seen["loaded"]} == {}


def test_every_command_has_a_summary_and_the_common_flags(helps):
    for words in COMMANDS:
        text = helps[words]["help"]
        assert text.split("\n\n")[1].strip().endswith("."), words
        assert [flag for flag in ("--json", "--quiet", "--debug") if flag not in text] == [], words


def test_version_is_printed_on_stdout(mrlspk):
    done = mrlspk("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


def test_a_usage_error_exits_2_on_stderr(mrlspk):
    done = mrlspk("train", "--no-such-flag")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: mrlspk train: no option --no-such-flag\nAll options: mrlspk train --help\n"


@pytest.mark.parametrize(
    "arguments", [("train", "--device", "gpu"), ("embed", "a.wav", "--device", "cuda:x")], ids=" ".join
)
def test_unknown_device_name_is_a_usage_error(mrlspk, arguments):
    done = mrlspk(*arguments)
    assert done.returncode == 2
    assert "expected auto, cpu, cuda, cuda:N or mps" in " ".join(done.stderr.split())


def test_a_misspelt_key_exits_1_and_names_the_nearest(mrlspk, tmp_path):
    done = mrlspk("train", "--set", MISSPELT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: traning (--set): unknown key; did you mean training?\n"
    assert list(tmp_path.iterdir()) == []


def test_misspelt_key_in_a_file_is_reported_with_the_file(mrlspk, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("training:\n  btch_size: 3\n", encoding="utf-8")
    done = mrlspk("train", "--config", str(path))
    assert done.returncode == 1
    assert f"training.btch_size ({path}): unknown key" in done.stderr
    assert "did you mean training.batch_size?" in done.stderr


def test_debug_shows_the_traceback_of_an_error(mrlspk):
    done = mrlspk("train", "--set", MISSPELT, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr


def test_our_variables_in_dotenv_count_and_those_of_others_do_not(mrlspk, tmp_path):
    (tmp_path / ".env").write_text("WANDB_API_KEY=secret\nOTHER=1\nMRLSPK_TRAINING__BTCH_SIZE=3\n", encoding="utf-8")
    done = mrlspk("train")
    assert done.returncode == 1
    assert done.stderr == (
        "error: MRLSPK_TRAINING__BTCH_SIZE: unknown variable; did you mean MRLSPK_TRAINING__BATCH_SIZE?\n"
    )


def child_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help")], ids=" ".join)
def test_help_answers_in_under_half_a_second(mrlspk, arguments):
    """The command line promises this time. What the best of five needs of a processor is free of other loads."""
    taken = []
    for _ in range(5):
        before = child_cpu_seconds()
        assert mrlspk(*arguments).returncode == 0
        taken.append(child_cpu_seconds() - before)
    assert 0 < min(taken) < 0.5, taken


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("--version",)], ids=" ".join)
def test_lookups_write_nothing(mrlspk, tmp_path, arguments):
    assert mrlspk(*arguments).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_quiet_leaves_only_warnings_on_stderr(run, tiny_corpus, write_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TINY_RUN | {"data": TINY_RUN["data"] | {"train_dataset": "corpus"}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    model, recording = write_model(tmp_path / "model.pt"), tiny_corpus.root / tiny_corpus.utterance_ids[0]
    commands = [
        ("data", "check", "corpus", "--decode", "all"),
        ("eval", model, "--trials", tiny_corpus.trials, "--audio-root", "corpus"),
        ("embed", recording, "--model", model),
        ("train", "--config", "tiny.yaml", "--set", "logging.run_name=one"),
    ]
    for command in commands:
        outcome = run(*command, "--quiet")
        assert outcome.exit_code == 0, command
        assert [line for line in outcome.stderr.splitlines() if not line.startswith("warning: ")] == [], command
        assert outcome.stdout, command
    chosen = run("embed", recording, "--quiet")
    assert (chosen.exit_code, chosen.stderr.count("\n")) == (0, 1)
    assert chosen.stderr.startswith("model: checkpoints/one/best.pt, the newest run (")


def test_run_without_quiet_shows_its_epochs(run, tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TINY_RUN | {"data": TINY_RUN["data"] | {"train_dataset": str(tiny_corpus.root)}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    assert "epoch 3/3" in run("train", "--config", "tiny.yaml").stderr


def test_command_leaves_the_signal_handler_of_its_process(run):
    before = signal.getsignal(signal.SIGTERM)
    assert run("--version").exit_code == 0
    assert signal.getsignal(signal.SIGTERM) is before
