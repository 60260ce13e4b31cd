"""Runs killed at random moments, a few times each; `scripts/check_resume.py` kills twenty times."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_resume.py"
SEED, N_KILLS = 1, 2


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_resume", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Forked:
    """What the script asks of a process that it has started, of one that has everything imported."""

    def __init__(self, starter, folder):
        command = "train", "--config", "run.yaml", "--resume", "auto", "--quiet"
        self._command, self._folder = starter.fork("mrlspk", *command, cwd=folder), folder
        self.pid = self._command.pid

    def poll(self):
        return self._command.ask(self.pid)

    def wait(self):
        code = self._command.exit_code()
        (self._folder / "stderr.txt").write_text(self._command.stderr)
        return code


@pytest.mark.process
@pytest.mark.parametrize("kind", ["end-to-end", "head"])
def test_killed_run_equals_uninterrupted_run(script, shared, tmp_path, kind, write_model, runs, monkeypatch):
    corpus = script.speech_of(shared, tmp_path, n_speakers=6)
    corpus = script.packed(corpus) if kind == "end-to-end" else corpus
    config = script.configuration(kind, corpus, shared)
    config["data"]["num_workers"] = 1
    monkeypatch.setattr(script.Killed, "start", lambda killed: Forked(runs.starter, killed.folder))
    if kind == "head":  # on a backbone that is quicker than the shared one
        start = {"use_pretrained": True, "pretrained_checkpoint": str(write_model(tmp_path / "origin.pt", dims=(8,)))}
        config["model"] = {"matryoshka_dims": [4, 8], "pretrained": start}
        config["head"] = {"rotation": "svd"}
    kills, differences = script.compare_killed(config, tmp_path, n_kills=N_KILLS, seed=SEED)
    assert ["was written" in kill for kill in kills] == [False, True]  # one of them within a write
    assert differences == []
    assert not list((tmp_path / "killed").rglob("*.partial"))


def test_script_finds_every_difference(script, tmp_path):
    import torch

    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        torch.save({"a": [torch.zeros(2), 1.0], "b": float("nan")}, folder / "last.pt")
        (folder / "metrics.jsonl").write_text('{"event": "step", "loss": 1.0, "waiting_share": 0.1}\n')
    assert script.differences(one, two) == []
    torch.save({"a": [torch.tensor([0.0, -0.0]), 1.0], "b": 0.0}, two / "last.pt")
    (two / "best.pt").write_bytes(b"")
    (two / "metrics.jsonl").write_text('{"event": "step", "loss": 1.5, "waiting_share": 0.2}\n')
    assert script.differences(one, two) == [
        "best.pt: is in one folder only",
        "last.pt/a/0",
        "last.pt/b",
        "metrics.jsonl: 1 and 1 lines, or different values",
    ]
