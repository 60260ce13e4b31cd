import math
from dataclasses import replace

import pytest

from logged_runs import epoch, facts, step
from mrlspk.cli.train_progress import TrainProgress


@pytest.fixture
def told(capsys):
    """Return what is said of a run of these facts and records."""

    def tell(run_facts, *records, quiet=False):
        with TrainProgress(quiet=quiet) as progress:
            progress.run_started(run_facts)
            for record in records:
                (progress.epoch_done if hasattr(record, "validation") else progress.step_done)(record)
            progress.run_ended()
        return capsys.readouterr().err.splitlines()

    return tell


def test_epoch_says_how_long_it_waited_and_what_memory_it_took(told):
    steps = replace(step(1), waiting_share=0.5), replace(step(2), waiting_share=0.25, memory_mib=1234.4)
    line = told(facts(), *steps, epoch(1))[-1]
    assert "2 s  38% waiting for data  1,234 MiB  best" in line  # the mean of 50 % and 25 %
    assert "left out" not in line


def test_steps_that_were_left_out_are_counted(told):
    line = told(facts(), step(1), step(2, math.nan), epoch(1))[-1]
    assert "64 MiB  steps left out so far: 1" in line


def test_each_epoch_speaks_of_its_own_steps(told):
    waits = replace(step(1), waiting_share=1.0), epoch(1), replace(step(2), waiting_share=0.0), epoch(2)
    assert "0% waiting" in told(facts(), *waits)[-1]


def test_run_that_goes_on_says_where_and_over_how_many_processes(told):
    said = told(facts(6, 2))
    assert "2 processes, 16 crops a step" in said
    assert "goes on in epoch 2, after step 6" in said


def test_run_of_one_process_that_begins_says_neither(told):
    assert len(told(replace(facts(), n_processes=1))) == 1


def test_quiet_run_says_nothing(told):
    assert told(facts(6, 2), step(7), epoch(2), quiet=True) == []
