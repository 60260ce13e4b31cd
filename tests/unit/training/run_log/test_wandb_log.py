import json
import sys

import pytest

from logged_runs import build, epoch, facts, read_lines, step, tell
from mrlspk.errors import MrlspkError
from mrlspk.training.run_log.wandb_log import row_of


class BrokenRun:
    """A run whose service has died."""

    def log(self, *_arguments, **_options):
        raise BrokenPipeError(32, "Broken pipe")


def test_wandb_that_is_not_installed_does_not_stop_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    tell(build(tmp_path, tensorboard=False, wandb=True, wandb_watch_model=True), step(2), epoch(1))
    assert caplog.text.count("Weights & Biases cannot be used") == 1
    assert "WANDB_MODE=offline" in caplog.text
    assert [line["event"] for line in read_lines(tmp_path)] == ["run", "step", "epoch"]


def test_wandb_whose_service_dies_is_left_behind_with_one_warning(tmp_path, caplog):
    json_log, wandb_log = build(tmp_path, tensorboard=False, wandb=True)
    json_log.run_started(facts())
    wandb_log._run, wandb_log._is_open = BrokenRun(), True
    for log in (json_log, wandb_log):
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
