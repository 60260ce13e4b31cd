"""`fit` on a tiny network and corpus: epochs, early stopping, resume within an epoch, non-finite steps."""

import json
import math
from dataclasses import replace

import pytest
import torch

from factories import tiny_config, validated
from mrlspk.errors import MrlspkError
from mrlspk.models.checkpoints import read_checkpoint
from mrlspk.training.fit import fit
from mrlspk.training.records import Progress
from tiny_runs import network_run, prepared

EVERY_STEP = {"logging": {"tensorboard": False, "save_every_steps": 1}}


class StopHereError(Exception):
    """Ends a run in the middle of an epoch."""


class Recorder:
    """Observer that keeps the records; it raises after step ``last``."""

    def __init__(self, last=None):
        self.last, self.steps, self.epochs = last, [], []

    def step_done(self, record):
        self.steps.append(record)
        if record.step == self.last:
            raise StopHereError

    def epoch_done(self, record):
        self.epochs.append(record)


class Scripted:
    """Validator that returns given EERs, one per epoch."""

    def __init__(self, *eers):
        self.eers = list(eers)

    def validate(self, _encoder):
        eer = self.eers.pop(0)
        return validated(eer, {4: eer, 8: eer}, {4: 1.0, 8: 1.0}, math.log(eer))


class Poisoned:
    """Loader whose batches of the given numbers, from 1, are not finite."""

    def __init__(self, loader, numbers):
        self.loader, self.numbers, self.n_taken = loader, numbers, 0

    def __iter__(self):
        for waveform, speaker_index in self.loader:
            self.n_taken += 1
            is_poisoned = self.n_taken in self.numbers
            yield torch.full_like(waveform, math.nan) if is_poisoned else waveform, speaker_index


def same_state(one, other):
    return one.keys() == other.keys() and all(torch.equal(values, other[name]) for name, values in one.items())


def copied(module):
    return {name: values.clone() for name, values in module.state_dict().items()}


def test_fit_validates_every_epoch_and_stops_at_the_last(tiny_corpus, tmp_path):
    run, recorder = network_run(prepared(tiny_config(tiny_corpus), tmp_path)), Recorder()
    fit(run, [recorder])
    assert [record.step for record in recorder.steps] == list(range(1, 10))  # 12 crops in batches of 4, three epochs
    assert [(record.epoch, record.step) for record in recorder.epochs] == [(1, 3), (2, 6), (3, 9)]
    assert (run.state.progress.epoch, run.state.progress.n_crops) == (3, 0)
    for record in recorder.epochs:
        losses = [each.loss for each in recorder.steps if each.epoch == record.epoch]
        assert record.train_loss == pytest.approx(sum(losses) / 3)
    last = read_checkpoint(run.run_dir / "last.pt")
    assert last["validation"]["eer"] == recorder.epochs[-1].validation.eer


def test_fit_saves_the_best_epoch(tiny_corpus, tmp_path):
    run = network_run(prepared(tiny_config(tiny_corpus), tmp_path))
    fit(replace(run, validator=Scripted(0.3, 0.1, 0.2)))
    assert run.state.progress.best_epoch == 2
    assert read_checkpoint(run.run_dir / "best.pt")["progress"]["epoch"] == 2


@pytest.mark.parametrize("stopped_after", [1, 4, 6])
def test_resume_matches_uninterrupted_fit(tiny_corpus, tmp_path, stopped_after):
    config = tiny_config(tiny_corpus, **EVERY_STEP)
    whole = network_run(prepared(config, tmp_path, "whole"))
    fit(whole)
    with pytest.raises(StopHereError):
        fit(network_run(prepared(config, tmp_path, "stopped")), [Recorder(last=stopped_after + 1)])
    point = tmp_path / "stopped" / "last.pt"
    assert read_checkpoint(point)["progress"]["step"] == stopped_after
    resumed, recorder = network_run(prepared(config, tmp_path, "stopped", resume_path=point)), Recorder()
    fit(resumed, [recorder])
    assert [record.step for record in recorder.steps] == list(range(stopped_after + 1, 10))
    assert resumed.state.progress == whole.state.progress
    assert same_state(resumed.state.module.state_dict(), whole.state.module.state_dict())
    states = [run.state.optimiser.state_dict()["state"] for run in (whole, resumed)]
    assert all(same_state(states[0][index], states[1][index]) for index in states[0])


def test_fit_stops_early_without_a_better_epoch(tiny_corpus, tmp_path):
    config = tiny_config(tiny_corpus, training={"num_epochs": 9, "early_stopping_epochs": 2})
    run = network_run(prepared(config, tmp_path))
    fit(replace(run, validator=Scripted(0.3, 0.2, 0.25, 0.2, 0.1)))
    assert (run.state.progress.epoch, run.state.progress.best_epoch) == (4, 2)


def test_fit_skips_a_non_finite_step(tiny_corpus, tmp_path):
    run, recorder = network_run(prepared(tiny_config(tiny_corpus), tmp_path)), Recorder()
    before, after = {}, {}

    class Watch(Recorder):
        def step_done(self, record):
            (after if record.step == 2 else before).update(copied(run.state.module))
            super().step_done(record)
            if record.step == 2:
                raise StopHereError

    with pytest.raises(StopHereError):
        fit(replace(run, loader=Poisoned(run.loader, {2})), [Watch(), recorder])
    assert same_state(before, after)
    assert run.state.progress.n_skipped == run.state.progress.n_skipped_in_a_row == 1
    assert run.state.progress.so_far.n_steps == 1  # the loss of the skipped step does not count


def test_fit_aborts_after_too_many_non_finite_steps(tiny_corpus, tmp_path):
    config = tiny_config(tiny_corpus, training={"max_nonfinite_steps": 2}, **EVERY_STEP)
    run = network_run(prepared(config, tmp_path))
    with pytest.raises(MrlspkError, match="not finite in 2 steps in a row, the last of them step 3 of epoch 1"):
        fit(replace(run, loader=Poisoned(run.loader, {2, 3})))
    step = json.loads((run.run_dir / "nonfinite-step.json").read_text())
    assert (step["epoch"], step["step"], len(step["utterance_ids"])) == (1, 3, 4)
    assert set(step["utterance_ids"]) <= set(run.state.plan.data.train.utterance_ids)
    assert read_checkpoint(run.run_dir / "last.pt")["progress"]["step"] == 2


def test_fit_saves_before_its_first_step(tiny_corpus, tmp_path):
    run = network_run(prepared(tiny_config(tiny_corpus), tmp_path))
    with pytest.raises(StopHereError):
        fit(run, [Recorder(last=1)])
    last = read_checkpoint(run.run_dir / "last.pt")
    assert (last["progress"]["step"], "validation" in last) == (0, False)
    assert run.state.progress != Progress()
