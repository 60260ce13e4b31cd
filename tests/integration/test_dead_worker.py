"""Runs whose decoding processes die or hang over a file."""

import os
import signal

import pytest
import torch

from mrlspk.data.crops import dataset

pytestmark = pytest.mark.process

FEWEST_WORKERS = ("--set", "data.num_workers=2", "--set", "data.prefetch_factor=1")


@pytest.fixture
def fault_at(monkeypatch):
    """Let a process do something else where it is to read a file of the tiny corpus that is trained on; return it."""
    plain_crop = dataset.random_crop

    def put(fault):
        def crop(source, *arguments, **options):
            if source.path.name == "2.wav" and source.path.parent.name == "b":
                fault()
            return plain_crop(source, *arguments, **options)

        monkeypatch.setattr(dataset, "random_crop", crop)

    return put


def test_killed_process_ends_the_run_with_the_file_and_the_signal(train, fault_at, tmp_path):
    fault_at(lambda: os.kill(os.getpid(), signal.SIGKILL))
    outcome = train(*FEWEST_WORKERS, name="killed")
    assert outcome.exit_code == 1
    assert "b/2.wav: a decoding process was killed by SIGKILL while reading this file" in outcome.stderr
    assert "Lower data.num_workers" in outcome.stderr
    assert list((tmp_path / "checkpoints" / "killed").glob("*.partial")) == []


def test_process_that_hangs_ends_the_run_with_the_file(train, fault_at, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    fault_at(lambda: (tmp_path / "pipe").open("rb"))
    outcome = train(*FEWEST_WORKERS, "--set", "data.worker_timeout_seconds=1", name="hung")
    assert outcome.exit_code == 3
    assert "b/2.wav: a decoding process delivered no batch for 1 s while reading this file" in outcome.stderr


def test_extraction_whose_process_crashes_ends_with_the_file(train, fault_at, single_width):
    fault_at(lambda: os._exit(9))
    head = ("--init-from", single_width, "--set", "training.freeze_backbone_epochs=null")
    outcome = train(*FEWEST_WORKERS, *head, name="head")
    assert outcome.exit_code == 3
    assert "b/2.wav: a decoding process ended with exit code 9 while reading this file" in outcome.stderr


# The thread of the loader that hands crops to a dead process may find its pipe broken, and says so by itself.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_run_resumes_exactly_once_the_file_is_mended(train, fault_at, tmp_path, monkeypatch):
    fault_at(lambda: os.kill(os.getpid(), signal.SIGSEGV))
    saves = (*FEWEST_WORKERS, "--set", "logging.save_every_steps=1")
    assert train(*saves, name="crashed").exit_code == 3
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert train(*saves, "--resume", "auto", name="crashed").exit_code == 0
    assert train(*saves, name="whole").exit_code == 0
    resumed, whole = (torch.load(tmp_path / f"checkpoints/{name}/last.pt") for name in ("crashed", "whole"))
    assert resumed["progress"] == whole["progress"]
    assert all(torch.equal(values, whole["model"][name]) for name, values in resumed["model"].items())
