"""A tiny corpus, tiny models and a runner of commands, for tests that go through the command line."""

import json
import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from factories import tiny_run, write_tiny_model, write_voices
from first_hour import check
from mrlspk.cli.app import app
from mrlspk.data.crops.dataset import one_thread
from several_processes import runs_in


@dataclass(frozen=True)
class TinyCorpus:
    """Voices, by default four of two sessions with two files of half a second each, and a list of all trials."""

    root: Path
    trials: Path

    @property
    def utterance_ids(self):
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*.wav"))

    def write_all_trials(self):
        pairs = combinations(self.utterance_ids, 2)
        lines = [f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n" for a, b in pairs]
        self.trials.write_text("".join(lines))


@dataclass(frozen=True)
class Outcome:
    """What one run of a command left."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return json.loads(self.stdout)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run ``mrlspk`` with arguments; an error that is no message of ours fails the test with its traceback."""
    monkeypatch.setenv("COLUMNS", "240")
    if "MRLSPK_CACHE_DIR" not in os.environ:
        monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))

    def invoke(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.stderr
        if "--json" in arguments and result.stdout.startswith("{"):
            check_warnings(json.loads(result.stdout)["warnings"], result.stderr)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke


def check_warnings(warnings, stderr):
    """Check that a JSON document has the warnings that were printed, all of them and no others."""
    printed = stderr.count("\nwarning: ") + stderr.startswith("warning: ")
    assert [text for text in warnings if f"warning: {text}\n" not in stderr] == []
    assert len(warnings) == printed, stderr


@pytest.fixture(scope="session")
def processes(tmp_path_factory):
    """A folder with a corpus of its own, and runs of several processes in it; names of runs are used once."""
    yield from runs_in(tmp_path_factory)


@pytest.fixture
def runs(processes):
    """The same; no process is left to the next test."""
    yield processes
    processes.starter.end()


@pytest.fixture
def in_one_thread():
    """Compute in one thread: for tensors this small the others only wait for each other."""
    with one_thread():
        yield


@pytest.fixture
def speech_cache(tmp_path_factory, monkeypatch):
    """Keep embeddings of real speech from one test to the next, for all workers of a run."""
    folder = tmp_path_factory.getbasetemp()
    of_all = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(of_all / "speech-cache"))


@pytest.fixture
def tiny_corpus(tmp_path):
    corpus = TinyCorpus(write_voices(tmp_path / "corpus"), tmp_path / "trials.txt")
    corpus.write_all_trials()
    return corpus


@pytest.fixture
def many_speakers(tmp_path):
    """24 voices, enough for intervals, with three files of a second each in one session, and a list of all trials."""
    generator = np.random.default_rng(1)
    root = tmp_path / "many"
    time = np.arange(16000) / 16000
    for speaker in range(24):
        folder = root / f"s{speaker:02}" / "a"
        folder.mkdir(parents=True)
        for number in range(3):
            voice = np.sin(2 * np.pi * (120 + 25 * speaker + 10 * generator.random()) * time)
            samples = 0.2 * voice + 0.05 * generator.normal(size=16000)
            soundfile.write(folder / f"{number}.wav", samples, 16000)
    corpus = TinyCorpus(root, tmp_path / "many-trials.txt")
    corpus.write_all_trials()
    return corpus


@pytest.fixture
def write_model():
    """Write a checkpoint of a tiny encoder of random weights, as a run would leave it."""

    def write(path, *, dims=(4, 8), config=None, seed=0):
        entries = {} if config is None else {"config": config.model_dump(mode="json")}
        return write_tiny_model(path, dims, seed=seed, **entries)

    return write


@pytest.fixture
def train(run, tmp_path, tiny_corpus, monkeypatch):
    """Run ``mrlspk train`` in a folder of its own on the tiny corpus."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_run(tiny_corpus.root)))

    def command(*arguments, name=None):
        named = ["--set", f"logging.run_name={name}"] if name else []
        return run("train", "--config", "tiny.yaml", *named, *arguments, "--json")

    return command


@pytest.fixture
def checkpoints(tmp_path):
    """Where the runs of `train` and `head` are."""
    return tmp_path / "checkpoints"


@pytest.fixture
def single_width(write_model, tmp_path):
    """A model of one width, as published ones are, in the folder of the runs: ``origin.pt``."""
    return write_model(tmp_path / "origin.pt", dims=(8,))


@pytest.fixture
def head(train, single_width):
    """Train a head by settings, on ``single_width`` unless another model is given, starting from its rotation."""

    def command(*settings, name=None, model=single_width, flags=()):
        plain = "head.centre=false", "head.flatten=0"
        fixed = "training.freeze_backbone_epochs=null", *plain, "loss.margin_shares={4: 0.5}"
        sets = [part for text in (*fixed, *settings) for part in ("--set", text)]
        return train("--init-from", model, *sets, *flags, name=name)

    return command


@pytest.fixture(scope="session")
def newcomers_model(tmp_path_factory):
    """A tiny model of one width, for situations that only need one."""
    return write_tiny_model(tmp_path_factory.mktemp("newcomer") / "model.pt", (8,))


@pytest.fixture
def meet(run, tmp_path, monkeypatch, newcomers_model):
    """Check a situation of the first hour in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MRLSPK_MODEL", raising=False)
    return lambda situation: check(situation, run, model=newcomers_model)
