"""Runs by several processes that are stopped, or lose one: all end, whoever started them, and nothing is lost."""

import gzip
import os
import shutil
import signal

import pytest

from compared_runs import differences, load
from forked_commands import until

pytestmark = pytest.mark.process

LONG = "training.num_epochs=12", "data.num_workers=1"
ENDLESS = ("training.num_epochs=100_000",)
PARTIAL = "**/*.partial"


@pytest.fixture(scope="module")
def whole(processes):
    """The long run that nobody has stopped."""
    return processes.whole("long", *LONG)


def begun(runs, name, started):
    """Wait until a run takes steps."""
    log = runs.dir(name) / "metrics.jsonl"

    def takes_steps():
        assert started.ask(started.pid) is None, started.stderr
        return log.exists() and '"step"' in log.read_text()

    until(takes_steps, "no step was taken")


def ended(started):
    """Wait until no process of a run is left; return the exit code of the first."""
    code = started.exit_code()
    until(lambda: not started.processes(), f"left behind: {started.processes()}")
    return code


@pytest.mark.parametrize(
    ("launcher", "number"), [("torchrun", signal.SIGTERM), ("fabric", signal.SIGTERM), ("fabric", signal.SIGINT)]
)
def test_stopped_run_is_saved_and_resumes(runs, whole, launcher, number):
    """Ctrl-C in a terminal is SIGINT to all processes that torchrun or the first of the run has not set apart."""
    name = f"stopped-{launcher}-{number.name}"
    started = getattr(runs, launcher)(name, *LONG)
    begun(runs, name, started)
    started.send(number, to_all=number == signal.SIGINT)
    code = ended(started)
    assert code == (128 + number if launcher == "fabric" else 1), started.stderr
    assert started.stdout == ""
    assert started.stderr.count(f"stopped by {number.name} after step") == 1
    assert f"Resume with --resume checkpoints/{name}." in started.stderr
    assert [*runs.folder.glob(PARTIAL)] == []
    assert load(runs.dir(name) / "last.pt")["progress"]["step"] < load(whole / "last.pt")["progress"]["step"]
    assert differences(whole, runs.whole(name, *LONG, flags=("--resume", "auto"))) == []


@pytest.mark.parametrize(
    ("launcher", "dies", "workers"),
    [("torchrun", "second", 0), ("torchrun", "torchrun", 0), ("fabric", "second", 0), ("fabric", "first", 1)],
)
def test_run_ends_with_a_process_that_is_killed(runs, launcher, dies, workers):
    name = f"killed-{launcher}-{dies}"
    started = getattr(runs, launcher)(name, *ENDLESS, f"data.num_workers={workers}")
    begun(runs, name, started)
    os.kill(started.child(LOCAL_RANK="1") if dies == "second" else started.pid, signal.SIGKILL)
    assert ended(started) != 0
    if (launcher, dies) == ("torchrun", "second"):
        assert "Signal 9 (SIGKILL)" in started.stderr
    assert load(runs.dir(name) / "last.pt")["processes"]["n"] == 2


@pytest.mark.parametrize("launcher", ["torchrun", "fabric"])
def test_run_ends_with_a_process_that_finds_a_file_unreadable(runs, whole, launcher):
    name = f"unreadable-{launcher}"
    shutil.copytree(runs.folder / "corpus", runs.folder / name)
    bad = gzip.decompress((whole / "corpus.txt.gz").read_bytes()).decode().split()[0]
    (runs.folder / name / bad).write_text("no audio")
    started = getattr(runs, launcher)(name, *ENDLESS, f"data.train_dataset={name}", "data.max_unreadable=0")
    assert ended(started) != 0
    assert f"error: {name}/{bad}: " in started.stderr
    assert load(runs.dir(name) / "last.pt")["processes"]["n"] == 2


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("bug_in_second", 1, "ZeroDivisionError: a bug in the second process"),
        ("bad_file_for_second", 3, "wav: is no audio\nTake it out of the corpus."),
    ],
)
def test_error_of_one_process_ends_the_others_without_a_launcher(runs, fault, code, message):
    first, second = runs.start(fault, *ENDLESS, fault=fault)
    assert (ended(second), ended(first)) == (code, 1)
    assert message in second.stderr
    assert ("Traceback" in second.stderr) == (code == 1)
    assert (first.stdout, second.stdout) == ("", "")
    assert load(runs.dir(fault) / "last.pt")["processes"]["n"] == 2


def test_file_that_one_machine_lacks_is_an_error_of_all_shown_once(runs):
    processes = runs.start("lacking", fault="no_corpus_for_second")
    assert [each.exit_code() for each in processes] == [3, 0]
    assert "error: nowhere: no such folder" in processes[0].stderr
    assert processes[1].stderr == ""
    assert not runs.dir("lacking").exists()


def test_full_disk_is_an_error_of_all_shown_once(runs):
    processes = runs.start("full", fault="full_disk_at_second_save")
    assert [each.exit_code() for each in processes] == [1, 0]
    assert "Traceback" not in processes[0].stderr
    assert "error: " in processes[0].stderr
    assert processes[1].stderr == ""
    assert load(runs.dir("full") / "last.pt")["progress"]["step"] == 0


def test_statistics_of_the_saved_model_are_those_that_were_validated(runs):
    """Each process takes its own in a step: a run resumed just before it validates has those of the first."""
    name, command = "at-the-end", ("training.num_epochs=1",)
    expected = runs.whole(f"{name}-whole", *command)
    for each in runs.start(name, *command, fault="crash_in_validation"):
        assert each.exit_code() == 9
    assert load(runs.dir(name) / "last.pt")["progress"]["n_crops"] == 12
    assert differences(expected, runs.whole(name, *command, flags=("--resume", "auto"))) == []
