import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mrlspk.config.logging import LoggingConfig
from mrlspk.training.records import EpochRecord, RunFacts, StepRecord
from mrlspk.training.run_log import build_run_log
from mrlspk.training.validation import ValidationResult

FACTS = RunFacts("run", {"seed": 1}, 2, 3, 2, 2, 4, 10, 0, 5, 1, 1, None)
VALIDATION = ValidationResult(0.5, {4: 0.25, 8: 0.125}, {4: 1.0, 8: 0.75}, -1.5)


def log_a_run(tmp_path, **changes):
    config = LoggingConfig(log_dir=tmp_path / "logs", log_interval=2, **changes)
    logs = build_run_log(config, tmp_path / "run")
    for log in logs:
        log.run_started(FACTS)
        for step in (1, 2, 3, 4):
            log.step_done(StepRecord(1, step, 1.0 / step, {4: 2.0, 8: 0.5}, 1e-3, 0.1, 3.0, 50.0))
        log.epoch_done(EpochRecord(1, 4, 0.75, VALIDATION, is_best=True, seconds=1.0))
        log.run_ended()
    return logs


def test_json_lines_hold_every_second_step_and_the_epoch(tmp_path):
    log_a_run(tmp_path, tensorboard=False)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run", "step", "step", "epoch"]
    assert [line["step"] for line in lines[1:3]] == [2, 4]
    assert lines[1]["loss"] == 0.5
    assert lines[3]["validation"]["eer"] == {"4": 0.25, "8": 0.125}


def test_tensorboard_holds_the_same_figures(tmp_path):
    log_a_run(tmp_path)
    events = EventAccumulator(str(tmp_path / "logs" / "run"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(2, 0.5), (4, 0.25)]
    assert events.Scalars("train/loss_8")[0].value == 0.5
    assert events.Scalars("validation/eer_4")[0].value == 0.25
    assert events.Scalars("validation/min_dcf_8")[0].value == pytest.approx(0.75)
