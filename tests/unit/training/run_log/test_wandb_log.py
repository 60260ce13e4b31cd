import json
import sys
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from logged_runs import build, epoch, facts, read_lines, step, tell
from mrlspk.errors import MrlspkError
from mrlspk.training.run_log import wandb_log
from mrlspk.training.run_log.wandb_log import histogram, module_histograms, row_of


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


def test_end_of_a_run_does_not_wait_for_wandb(endless, caplog):
    log, run = endless
    log.run_ended()
    assert run.exit_codes == [0]
    assert "send the rest later with 'wandb sync run/wandb/run-1'" in caplog.text


def test_failed_run_is_finished_as_failed(endless):
    log, run = endless

    def fail():
        try:
            raise MrlspkError("the loss is nan")
        finally:
            log.run_ended()

    with pytest.raises(MrlspkError):
        fail()
    assert run.exit_codes == [1]


def test_missing_wandb_does_not_stop_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    tell(build(tmp_path, tensorboard=False, wandb=True, wandb_watch_model=True), step(2), epoch(1))
    assert caplog.text.count("Weights & Biases failed") == 1
    assert "WANDB_MODE=offline" in caplog.text
    assert [line["event"] for line in read_lines(tmp_path)] == ["run", "step", "epoch"]


@pytest.mark.process
@pytest.mark.slow
def test_wandb_whose_service_dies_warns_once(tmp_path, caplog):
    lines, tracker = build(tmp_path, tensorboard=False, wandb=True)
    lines.run_started(facts())
    tracker._run, tracker._is_open = BrokenRun(), True
    for log in (lines, tracker):
        log.step_done(step(2))
        log.step_done(step(4))
        log.epoch_done(epoch(1))
        log.run_ended()
    assert caplog.text.count("Weights & Biases failed: [Errno 32] Broken pipe. The run continues") == 1


def test_row_numbers_rise_with_the_lines(tmp_path):
    tell(build(tmp_path, tensorboard=False), *map(step, (2, 4)), epoch(1), step(6), step(8), epoch(2))
    rows = [row_of(line) for line in read_lines(tmp_path)[1:]]
    assert rows == [4, 8, 9, 12, 16, 17]


def test_damaged_run_id_file_raises(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb.json").write_text(json.dumps(["abc"]))
    with pytest.raises(MrlspkError, match="expected the id"):
        tell(build(tmp_path, tensorboard=False, wandb=True), of=facts(4, 2))


@pytest.mark.parametrize("values", [torch.arange(10.0).reshape(2, 5), torch.randn(1000, generator=torch.Generator())])
def test_histogram_counts_as_numpy_does(values):
    found = histogram(values, bins=5)
    counts, edges = np.histogram(values.numpy(), bins=5)
    assert found.counts == counts.tolist()
    assert found.edges == pytest.approx(edges.tolist(), abs=1e-6)


def test_equal_values_lie_in_one_bin():
    found = histogram(torch.full((3,), 2.0), bins=4)
    assert (found.counts, found.edges) == ([0, 0, 3, 0], [1.5, 1.75, 2.0, 2.25, 2.5])


def test_values_that_are_not_finite_are_not_counted():
    assert sum(histogram(torch.tensor([1.0, torch.nan, torch.inf, 2.0])).counts) == 2
    assert histogram(torch.tensor([torch.nan])) is None
    assert histogram(torch.empty(0)) is None


def test_module_has_histograms_of_weights_and_present_gradients():
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    assert [name for name, _ in module_histograms(module)] == ["parameters/weight", "parameters/bias"]
    module(torch.ones(1, 3)).sum().backward()
    found = dict(module_histograms(module))
    assert list(found) == ["parameters/weight", "gradients/weight", "parameters/bias"]
    assert sum(found["gradients/weight"].counts) == 6  # all of them 1
