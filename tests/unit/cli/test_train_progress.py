import math
from dataclasses import replace

import pytest

from logged_runs import epoch, facts, step
from mrlspk.cli.train_progress import TrainProgress
from mrlspk.training.records import Baselines


@pytest.fixture
def shown(capsys):
    """Return what is said of a run of these facts and records."""

    def tell(run_facts, *records, quiet=False):
        with TrainProgress(quiet=quiet) as progress:
            progress.run_started(run_facts)
            for record in records:
                (progress.epoch_done if hasattr(record, "validation") else progress.step_done)(record)
            progress.run_ended()
        return capsys.readouterr().err.splitlines()

    return tell


def test_epoch_line_shows_waiting_and_memory(shown):
    steps = replace(step(1), waiting_share=0.5), replace(step(2), waiting_share=0.25, memory_mib=1234.4)
    line = shown(facts(), *steps, epoch(1))[-1]
    assert "2 s  data wait 38%  peak 1,234 MiB  new best" in line  # the mean of 50 % and 25 %
    assert "skipped" not in line


def test_epoch_line_counts_skipped_steps(shown):
    line = shown(facts(), step(1), step(2, math.nan), epoch(1))[-1]
    assert "64 MiB  steps skipped so far: 1" in line


def test_epoch_line_covers_its_own_steps_only(shown):
    waits = replace(step(1), waiting_share=1.0), epoch(1), replace(step(2), waiting_share=0.0), epoch(2)
    assert "data wait 0%" in shown(facts(), *waits)[-1]


def test_resumed_run_shows_its_place_and_processes(shown):
    said = shown(facts(6, 2))
    assert "2 processes, 16 crops a step" in said
    assert "resumes in epoch 2, after step 6" in said


def test_new_run_of_one_process_shows_neither(shown):
    assert len(shown(replace(facts(), n_processes=1))) == 1


def test_run_begins_with_what_was_measured_before_training(shown):
    eers = {"truncation": {4: 0.4, 8: 0.1}, "rotation": {4: 0.2, 8: 0.1}}
    baselines = Baselines(own_dim=8, own=0.1, **eers, rotation_method="svd", rotation_mean_log_eer=-2.0)
    said = [" ".join(line.split()) for line in shown(replace(facts(), baselines=baselines))]
    assert said[-4:] == [
        "EER % 4 8",
        "own embedding, 8 values 10.00 10.00",
        "own, truncated 40.00 10.00",
        "rotation (svd) 20.00 10.00",  # the start is measured at the end only
    ]


def test_quiet_run_shows_nothing(shown):
    assert shown(facts(6, 2), step(7), epoch(2), quiet=True) == []
