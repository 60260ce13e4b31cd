"""``mrlspk train --resume`` where files of the run are lost or damaged, or where it was saved before its first step."""

import json
import shutil

import pytest
import torch

from compared_runs import differences, load
from mrlspk.training.step import Stepper


@pytest.fixture
def ended(train, checkpoints):
    """The folder of a run of three epochs."""
    assert train(name="one").exit_code == 0
    return checkpoints / "one"


@pytest.fixture
def stopped(ended):
    """The same as it was when its second epoch was saved."""
    (ended / "epoch-003.pt").unlink()
    shutil.copy(ended / "epoch-002.pt", ended / "last.pt")
    best_epoch = load(ended / "last.pt")["progress"]["best_epoch"]
    shutil.copy(ended / f"epoch-{best_epoch:03}.pt", ended / "best.pt")
    return ended


def test_missing_last_checkpoint_names_the_newest_kept_epoch(run, train, stopped):
    (stopped / "last.pt").unlink()
    for outcome in (train("--resume", "auto", name="one"), run("train", "--resume", stopped)):
        assert outcome.exit_code == 1
        assert "last.pt: is missing" in outcome.stderr
        assert "--resume" in outcome.stderr
        assert "one/epoch-002.pt" in outcome.stderr
    assert run("train", "--resume", stopped / "epoch-002.pt", "--json").exit_code == 0


def test_damaged_last_checkpoint_names_the_newest_kept_epoch(run, stopped):
    last = stopped / "last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    for point in (stopped, stopped / "epoch-002.pt"):
        outcome = run("train", "--resume", point)
        assert outcome.exit_code == 1
        assert "last.pt: is damaged" in outcome.stderr
        assert "Remove it" in outcome.stderr
        assert "one/epoch-002.pt" in outcome.stderr
    last.unlink()
    assert run("train", "--resume", stopped / "epoch-002.pt", "--json").exit_code == 0


def test_run_without_its_best_checkpoint_is_not_resumed(run, stopped):
    (stopped / "best.pt").unlink()
    best_epoch = load(stopped / "last.pt")["progress"]["best_epoch"]
    outcome = run("train", "--resume", stopped)
    assert outcome.exit_code == 1
    assert f"best.pt: is missing, the best checkpoint of the run (epoch {best_epoch})" in outcome.stderr
    assert f"Copy epoch-{best_epoch:03}.pt, which is the same, to best.pt" in outcome.stderr
    shutil.copy(stopped / f"epoch-{best_epoch:03}.pt", stopped / "best.pt")
    assert run("train", "--resume", stopped, "--json").exit_code == 0


def test_logging_keys_that_do_not_fit_an_average_are_refused(run, train):
    assert train("--set", "training.average_last=2", name="mean").exit_code == 0
    outcome = run("train", "--resume", "auto", "--set", "logging.keep_last_n=1")
    assert outcome.exit_code == 1
    assert "needs 2 kept checkpoints" in outcome.stderr
    outcome = run("train", "--resume", "auto", "--set", "logging.save_interval=2")
    assert outcome.exit_code == 1
    assert "logging.save_interval was 1, now 2" in outcome.stderr


def test_batch_of_another_size_is_not_split_after_memory_ran_out(run, stopped):
    entries = load(stopped / "last.pt")
    entries["progress"]["n_parts"] = 2
    torch.save(entries, stopped / "last.pt")
    changed = stopped.with_name("changed")
    shutil.copytree(stopped, changed)
    smaller = "--set", "training.batch_size=2", "--set", "training.accumulation_steps=2", "--allow-changes"
    for folder, flags, n_parts in ((stopped, (), 2), (changed, smaller, 1)):
        outcome = run("train", "--resume", folder, *flags, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert load(folder / "last.pt")["progress"]["n_parts"] == n_parts


def test_run_saved_before_its_first_step_is_shown_as_resumed(train, checkpoints, monkeypatch):
    """A run on Weights & Biases stays the same one by that."""
    assert train(name="whole").exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(Stepper, "step", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        assert train(name="one").exit_code == 130
    assert train("--resume", "auto", name="one").exit_code == 0
    starts = [json.loads(line) for line in (checkpoints / "one" / "metrics.jsonl").read_text().splitlines()]
    assert [entry["resumes"] for entry in starts if entry["event"] == "run"] == [False, True]
    assert differences(checkpoints / "whole", checkpoints / "one") == []


def test_partial_files_of_a_killed_run_are_removed(run, stopped):
    (stopped / "epoch-099.pt.partial").write_bytes(b"half")
    assert run("train", "--resume", stopped, "--json").exit_code == 0
    assert not list(stopped.glob("*.partial"))
