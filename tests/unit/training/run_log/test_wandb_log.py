import json
import sys
from threading import Event
from types import SimpleNamespace

import pytest

from logged_runs import build, epoch, facts, read_lines, step, tell
from mrlspk.errors import MrlspkError
from mrlspk.training.run_log import wandb_log
from mrlspk.training.run_log.wandb_log import row_of


class BrokenRun:
    """A run whose service has died."""

    def log(self, *_arguments, **_options):
        raise BrokenPipeError(32, "Broken pipe")


class EndlessRun:
    """A run that cannot be finished until its network is back."""

    settings = SimpleNamespace(sync_dir="run/wandb/run-1")

    def __init__(self):
        self.network, self.exit_codes = Event(), []

    def finish(self, exit_code):
        self.exit_codes.append(exit_code)
        self.network.wait()


@pytest.fixture
def endless(tmp_path, monkeypatch):
    """The log of an endless run, and the run; it is not waited for long."""
    monkeypatch.setattr(wandb_log, "PATIENCE_SECONDS", 0.01)
    _, log = build(tmp_path, tensorboard=False, wandb=True)
    log._run, log._is_open = EndlessRun(), True
    yield log, log._run
    log._run.network.set()


def test_end_of_a_run_is_not_kept_waiting_by_wandb(endless, caplog):
    log, run = endless
    log.run_ended()
    assert run.exit_codes == [0]
    assert "'wandb sync run/wandb/run-1' sends them later" in caplog.text


def test_run_that_fails_is_finished_as_failed(endless):
    log, run = endless

    def fail():
        try:
            raise MrlspkError("the loss is nan")
        finally:
            log.run_ended()

    with pytest.raises(MrlspkError):
        fail()
    assert run.exit_codes == [1]


def test_wandb_that_is_not_installed_does_not_stop_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    tell(build(tmp_path, tensorboard=False, wandb=True, wandb_watch_model=True), step(2), epoch(1))
    assert caplog.text.count("Weights & Biases cannot be used") == 1
    assert "WANDB_MODE=offline" in caplog.text
    assert [line["event"] for line in read_lines(tmp_path)] == ["run", "step", "epoch"]


def test_wandb_whose_service_dies_is_left_behind_with_one_warning(tmp_path, caplog):
    lines, tracker = build(tmp_path, tensorboard=False, wandb=True)
    lines.run_started(facts())
    tracker._run, tracker._is_open = BrokenRun(), True
    for log in (lines, tracker):
        log.step_done(step(2))
        log.step_done(step(4))
        log.epoch_done(epoch(1))
        log.run_ended()
    assert caplog.text.count("Weights & Biases cannot be used: [Errno 32] Broken pipe. The run goes on") == 1


def test_rows_rise_with_the_lines_of_the_file(tmp_path):
    tell(build(tmp_path, tensorboard=False), *map(step, (2, 4)), epoch(1), step(6), step(8), epoch(2))
    rows = [row_of(line) for line in read_lines(tmp_path)[1:]]
    assert rows == [4, 8, 9, 12, 16, 17]


def test_file_of_the_run_id_that_is_not_one_is_an_error(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb.json").write_text(json.dumps(["abc"]))
    with pytest.raises(MrlspkError, match="expected the id"):
        tell(build(tmp_path, tensorboard=False, wandb=True), of=facts(4, 2))
