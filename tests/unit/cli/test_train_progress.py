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


def test_waiting_for_data_and_peak_memory_are_remarked(shown):
    steps = replace(step(1), waiting_share=0.5), replace(step(2), waiting_share=0.25, memory_mib=1234.4)
    said = shown(facts(), *steps, epoch(1))[-1]
    assert said == "  waited for data: 38% of the time, peak memory: 1,234 MiB"  # the mean of 50 % and 25 %


def test_remarks_count_skipped_steps(shown):
    assert shown(facts(), step(1), step(2, math.nan), epoch(1))[-1].endswith("64 MiB, steps skipped so far: 1")


def test_remarks_cover_the_steps_of_their_epoch_only(shown):
    waits = replace(step(1), waiting_share=1.0), epoch(1), replace(step(2), waiting_share=0.0), epoch(2)
    said = shown(facts(), *waits)
    assert said[-2].startswith("  waited for data: 100%")
    assert said[-1].split()[:2] == ["epoch", "2/3"]  # it did not wait, and memory did not grow


def test_resumed_run_shows_its_place_and_processes(shown):
    said = shown(facts(6, 2))
    assert "2 processes, 16 crops a step" in said
    assert "resumes in epoch 2, after step 6" in said


def test_new_run_of_one_process_shows_neither(shown):
    assert len(shown(replace(facts(), n_processes=1))) == 2  # with the header


def test_metrics_from_before_training_are_shown_once(shown):
    eers = {"truncation": {4: 0.4, 8: 0.1}, "rotation": {4: 0.2, 8: 0.1}}
    baselines = Baselines(own_dim=8, own=0.1, **eers, rotation_method="svd", rotation_mean_log_eer=-2.0)
    said = shown(replace(facts(), baselines=baselines), epoch(1), epoch(2, is_best=False))
    assert said[-6:] == [
        "EER %                4       8    loss  val loss    time",
        "own, 8 values    10.00   10.00",
        "own, truncated   40.00   10.00",
        "rotation         20.00   10.00",
        "epoch 1/3        25.00   12.50   0.750     0.500     2 s  best",
        "epoch 2/3        25.00    6.25   0.750     0.250     2 s",
    ]


def test_only_published_widths_are_shown(shown):
    assert shown(replace(facts(), published_dims=(8,)), epoch(1))[-1].split()[2] == "12.50"


def test_quiet_run_shows_nothing(shown):
    assert shown(facts(6, 2), step(7), epoch(2), quiet=True) == []
