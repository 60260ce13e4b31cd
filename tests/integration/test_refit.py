"""The refit of a head run: what was kept is fitted again to all speakers, exactly, and labelled so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from head_runs import load, same
from mrlspk.config import Config
from mrlspk.errors import StoppedError
from mrlspk.rotation.closed_form import fit_rotation
from mrlspk.training import best_epoch
from mrlspk.training import refit as module
from mrlspk.training.head import head_run
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable
from mrlspk.workflows.train import train

N_SPEAKERS, PER_SPEAKER, DIM, EPOCHS = 32, 4, 6, 3


class KilledError(Exception):
    """Stands for SIGKILL."""


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """A file of vectors of unit length, and its ids and rows."""
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(N_SPEAKERS, 1, DIM)) * np.linspace(2, 0.3, DIM)
    rows = (voices + 0.5 * rng.normal(size=(N_SPEAKERS, PER_SPEAKER, DIM))).reshape(-1, DIM).astype(np.float32)
    ids = tuple(f"s{speaker:02}/a/{n}" for speaker in range(N_SPEAKERS) for n in range(PER_SPEAKER))
    path = tmp_path_factory.mktemp("refit") / "v.npz"
    save_vectors(VectorTable(ids, rows), path, force=False)
    return path, rows


@pytest.fixture
def train_head(vectors, tmp_path, monkeypatch):
    """Train a head and keep the candidate that the test names, whatever the verdict is; return the run's folder."""
    monkeypatch.chdir(tmp_path)
    reach = head_run.reach_verdict

    def run(name="run", *, kept="trained", resume="never", **sections):
        monkeypatch.setattr(head_run, "reach_verdict", lambda *a, **k: replace(reach(*a, **k), kept=kept))
        values = {
            "data": {"vectors": [str(vectors[0])], "n_validation_trials": 60},
            "model": {"pretrained": {"use_pretrained": False}, "matryoshka_dims": [3, DIM], "trained_dims": [3, DIM]},
            "training": {"num_epochs": EPOCHS, "batch_size": 40} | sections.pop("training", {}),
            "logging": {"run_name": name, "tensorboard": False} | sections.pop("logging", {}),
            "evaluation": {"n_resamples": 0},
            **sections,
        }
        return train(Config.model_validate(values), cache_dir=tmp_path, resume=resume).run_dir

    return run


def test_rotation_is_fitted_to_all_speakers(train_head, vectors):
    run = train_head(kept="rotation", head={"rotation": "svd"})
    best, judged = load(run / "best.pt"), load(run / "rotation.pt")
    unit = vectors[1] / np.linalg.norm(vectors[1], axis=1, keepdims=True)
    method, parameter = judged["rotation"]["method"], judged["rotation"]["parameter"]
    index = np.repeat(np.arange(N_SPEAKERS), PER_SPEAKER)
    expected = fit_rotation(unit, index, method=method, parameter=parameter).matrix
    np.testing.assert_allclose(best["rotation"]["matrix"], expected, atol=1e-5)
    np.testing.assert_allclose(best["model"]["head.linear.weight"], expected, atol=1e-5)
    assert not same(best["model"], judged["model"])


@pytest.mark.parametrize("kept", ["rotation", "start", "trained"])
def test_card_has_the_figures_of_what_was_judged(train_head, kept):
    run = train_head(kept=kept)
    best, judged = load(run / "best.pt"), load(run / f"{kept}.pt")
    assert best["card"]["refit"] == {"speakers": N_SPEAKERS, "held_out_model": f"{kept}.pt"}
    assert (best["card"]["data"]["speakers"], judged["card"]["data"]["speakers"]) == (N_SPEAKERS, N_SPEAKERS - 10)
    assert f"measured on {kept}.pt, the same recipe without these speakers" in best["card"]["trials"]["description"]
    assert (best["validation"], best["progress"]) == (judged["validation"], judged["progress"])
    assert best["card"]["results"] == judged["card"]["results"]
    assert not (run / "refit").exists()


def test_without_refit_the_best_is_what_was_judged(train_head):
    run = train_head(training={"refit": False})
    best, trained = load(run / "best.pt"), load(run / "trained.pt")
    assert same(best["model"], trained["model"])
    assert best["card"]["refit"] is None


@pytest.mark.parametrize("settings", [{"head": {"trained": "orthogonal"}}, {"training": {"average_last": 2}}])
def test_killed_refit_resumes_to_the_same_bits(train_head, monkeypatch, settings):
    whole = train_head("whole", **settings)
    refit_fit = module.fit

    def killed_fit(run, _observers):
        refit_fit(run, [Killer(step=4)])

    monkeypatch.setattr(module, "fit", killed_fit)
    every_step = {"logging": {"save_every_steps": 1}}
    with pytest.raises(KilledError):
        train_head("cut", **settings, **every_step)
    cut = whole.with_name("cut")
    assert load(cut / "best.pt")["card"]["refit"] is None  # as it was judged
    (saved,) = cut.glob("refit/*/last.pt")
    assert 1 <= load(saved)["progress"]["step"] < 4
    steps = []
    monkeypatch.setattr(module, "fit", lambda run, _observers: refit_fit(run, [Noter(steps)]))
    train_head("cut", resume=str(cut), **settings, **every_step)
    assert steps[0] > 1  # it went on
    for name in ("model", "criterion", "rotation"):
        assert equal(load(cut / "best.pt")[name], load(whole / "best.pt")[name]), name
    assert not same(load(whole / "best.pt")["model"], load(whole / "trained.pt")["model"])


def test_killed_refit_does_not_serve_another_verdict(train_head, monkeypatch):
    refit_fit = module.fit
    monkeypatch.setattr(module, "fit", lambda run, _observers: refit_fit(run, [Killer(step=4)]))
    with pytest.raises(KilledError):
        train_head("cut", logging={"save_every_steps": 1})
    run = train_head("cut", kept="rotation", resume="auto", logging={"save_every_steps": 1})
    best = load(run / "best.pt")
    assert best["card"]["refit"]["held_out_model"] == "rotation.pt"
    assert "transform" not in best  # the start that was trained has one
    assert not (run / "refit").exists()


class Killer:
    """Observes a run, and ends it without saving after some steps."""

    def __init__(self, *, step):
        self.step = step

    def step_done(self, record):
        if record.step == self.step:
            raise KilledError

    def epoch_done(self, record):
        """Do nothing."""


class Noter(Killer):
    """Observes a run, and notes the number of each step."""

    def __init__(self, steps):
        self.steps = steps

    def step_done(self, record):
        self.steps.append(record.step)


def equal(one, other):
    return one == other if "matrix" in one else same(one, other)


def test_head_is_trained_again_for_as_many_epochs_by_the_same_schedule(train_head, monkeypatch):
    refit_fit, found = module.fit, []

    def noted_fit(run, observers):
        found.append((run.config.training.num_epochs, run.learning_rate.num_epochs, len(run.loader)))
        refit_fit(run, observers)

    monkeypatch.setattr(module, "fit", noted_fit)
    n_epochs = load(train_head() / "best.pt")["progress"]["epoch"]
    n_batches = N_SPEAKERS * PER_SPEAKER * 4 // 40  # four passes over the vectors of all speakers
    assert found == [(n_epochs, EPOCHS, n_batches)]


def test_refit_that_is_stopped_names_the_run_to_resume(train_head, monkeypatch):
    def stopped(run, _observers):
        raise StoppedError("stopped by SIGTERM", 15, where=run.run_dir / "last.pt", fix=f"`resume={run.run_dir}`")

    monkeypatch.setattr(module, "fit", stopped)
    with pytest.raises(StoppedError, match="the refit was stopped by SIGTERM") as caught:
        train_head()
    assert caught.value.exit_code == 143
    assert caught.value.fix == "Resume with `resume=checkpoints/run`."


def test_resumed_run_that_has_ended_leaves_its_refit(train_head):
    run = train_head(kept="start")
    before = (run / "best.pt").stat().st_mtime_ns
    train_head(kept="start", resume=str(run))
    assert (run / "best.pt").stat().st_mtime_ns == before
    (run / "refit").mkdir()  # of a run that was killed behind its refit
    train_head(kept="trained", resume=str(run))  # another verdict
    assert load(run / "best.pt")["card"]["refit"]["held_out_model"] == "trained.pt"
    assert not (run / "refit").exists()


def test_head_from_random_weights_is_trained_again(train_head):
    run = train_head(kept="rotation", head={"start": "random"})
    best, judged = load(run / "best.pt"), load(run / "rotation.pt")
    assert best["own_head"]["weight"].shape == judged["own_head"]["weight"].shape
    assert not torch.allclose(best["own_head"]["weight"], judged["own_head"]["weight"], rtol=0.01)


def test_mean_of_the_last_epochs_is_taken_again(train_head, monkeypatch):
    note, average, found = best_epoch.note_best, module.average_checkpoints, []
    monkeypatch.setattr(best_epoch, "note_best", lambda *a, **k: (note(*a, **k)[0], True))  # the mean is the best

    def noted_average(paths):
        found.extend(f"{path.relative_to('checkpoints').parts[1]}/{path.name}" for path in paths)
        return average(paths)

    monkeypatch.setattr(module, "average_checkpoints", noted_average)
    train_head(training={"average_last": 2})
    assert found == ["refit/epoch-002.pt", "refit/epoch-003.pt"]
