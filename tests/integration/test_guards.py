"""Guards of ``mrlspk train``: non-finite steps, early stopping, errors in the middle of a run."""

import json
import math

import pytest
import torch

from mrlspk.training.network.module import NetworkModule


def load(path):
    return torch.load(path, weights_only=True)


def events(run_dir, kind):
    entries = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [entry for entry in entries if entry["event"] == kind]


@pytest.fixture
def poison(monkeypatch):
    """Let the loss of some steps, counted from 1, be no number: of all crops, as a network that overflows has it."""
    forward, taken = NetworkModule.forward, []

    def set_up(is_bad):
        def poisoned(self, waveform, speaker_index, *extras):
            if self.training:
                taken.append(True)
            bad = is_bad(len(taken))
            return forward(self, waveform * math.inf if bad else waveform, speaker_index, *extras)

        monkeypatch.setattr(NetworkModule, "forward", poisoned)

    return set_up


@pytest.mark.usefixtures("in_one_thread")
def test_non_finite_steps_are_skipped_and_counted(train, checkpoints, poison):
    poison(lambda step: step in {2, 3, 8})
    outcome = train(name="one")
    assert outcome.exit_code == 0, outcome.stderr
    steps, epochs = (events(checkpoints / "one", kind) for kind in ("step", "epoch"))
    assert [entry["loss"] is None for entry in steps] == [False, True, True, False, False, False, False, True, False]
    assert [entry["n_skipped"] for entry in steps] == [0, 1, 2, 2, 2, 2, 2, 3, 3]
    assert epochs[0]["train_loss"] == pytest.approx(steps[0]["loss"])
    assert epochs[2]["train_loss"] == pytest.approx((steps[6]["loss"] + steps[8]["loss"]) / 2)
    last = load(checkpoints / "one" / "last.pt")
    assert last["progress"]["n_skipped"] == 3
    assert all(value.isfinite().all() for value in last["model"].values() if value.is_floating_point())


def test_too_many_non_finite_steps_abort_and_name_utterances(train, checkpoints, poison, tiny_corpus):
    poison(lambda step: step in {2, 4, 5})
    outcome = train("--set", "training.max_nonfinite_steps=2", "--set", "logging.save_every_steps=1", name="one")
    assert outcome.exit_code == 1
    assert "not finite in 2 steps in a row, the last of them step 5 of epoch 2" in " ".join(outcome.stderr.split())
    record = json.loads((checkpoints / "one" / "nonfinite-step.json").read_text())
    assert (record["epoch"], record["step"]) == (2, 5)
    assert len(record["utterance_ids"]) == 4
    assert set(record["utterance_ids"]) <= set(tiny_corpus.utterance_ids)
    last = load(checkpoints / "one" / "last.pt")
    assert last["progress"]["step"] == 4
    assert last["progress"]["n_skipped_in_a_row"] == 1


def test_run_stops_early_without_improvement(train):
    still = "training.learning_rate=1e-30", "training.min_lr=0", "training.freeze_norm_statistics=false"
    frozen = "loss.class_lr_multiplier=1", "training.freeze_backbone_epochs=0", "training.num_epochs=9"
    sets = [part for text in (*still, *frozen, "training.early_stopping_epochs=2") for part in ("--set", text)]
    outcome = train(*sets, "--set", "evaluation.best_by=loss", name="one")
    assert outcome.exit_code == 0, outcome.stderr
    best, epochs = outcome.json["best_epoch"], outcome.json["epochs"]
    assert epochs == best + 2 < 9
    assert "no better epoch since epoch" in outcome.stderr
    again = train(*sets, "--set", "evaluation.best_by=loss", "--resume", "auto", name="one")
    assert (again.exit_code, again.json["epochs"]) == (0, epochs)


def test_disk_that_fills_up_keeps_the_last_good_checkpoint(train, checkpoints, monkeypatch):
    """A limit on the size of a file stands for the full disk: the system refuses to write more, in the midst of it."""
    import resource
    import signal

    from mrlspk.training.checkpoints import saving

    assert train(name="whole").exit_code == 0
    save_epoch, limits = saving.save_epoch, resource.getrlimit(resource.RLIMIT_FSIZE)

    def save_on_a_full_disk(run_dir, entries, **options):
        if entries["progress"]["epoch"] < 2:
            return save_epoch(run_dir, entries, **options)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            return save_epoch(run_dir, entries, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(saving, "save_epoch", save_on_a_full_disk)
            outcome = train(name="full")
    finally:
        signal.signal(signal.SIGXFSZ, before)
    said = " ".join(outcome.stderr.split())
    assert outcome.exit_code == 1
    assert "cannot be written" in said
    assert "checkpoints/full/last.pt, of step 6 (1 epochs done), is whole: free some disk space" in said
    assert not list((checkpoints / "full").glob("*.partial"))
    assert train("--resume", "auto", name="full").exit_code == 0
    whole, full = (load(checkpoints / name / "last.pt") for name in ("whole", "full"))
    assert all(torch.equal(full["model"][name], values) for name, values in whole["model"].items())
