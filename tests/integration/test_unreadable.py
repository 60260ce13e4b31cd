"""Train on a corpus in which some files cannot be read: crops of others replace theirs, up to a limit."""

import json

import pytest

from compared_runs import differences, load
from factories import tiny_config
from mrlspk.data.build import build_training_data
from mrlspk.training.step import Stepper


@pytest.fixture
def broken(tiny_corpus):
    """One of the files to train on, which is text now, and its id."""
    config = tiny_config(tiny_corpus.root)
    crops = build_training_data(config.data, seed=config.seed).train
    crops.source_of(0).path.write_text("not audio")
    return crops.source_of(0).path, crops.utterance_id(0)


def crash_in_step(monkeypatch, number):
    step, taken = Stepper.step, []

    def crash(self, group, **options):
        taken.append(True)
        if len(taken) == number:
            raise KeyboardInterrupt
        return step(self, group, **options)

    monkeypatch.setattr(Stepper, "step", crash)


@pytest.mark.slow
@pytest.mark.usefixtures("in_one_thread")
def test_unreadable_file_is_replaced_told_and_counted_over_a_resume(train, checkpoints, broken, monkeypatch):
    path, utterance_id = broken
    whole = train("--set", "data.num_workers=2", name="whole")
    assert whole.exit_code == 0, whole.stderr
    (found,) = whole.json["unreadable"]
    assert found["id"] == utterance_id
    assert found["message"].startswith(f"{path}: cannot be decoded as .wav audio")
    (warning,) = (each for each in whole.json["warnings"] if "cannot be decoded" in each)
    assert warning == f"{found['message']}; crops of other files replace its crops"
    assert whole.stderr.count("unreadable files so far: 1") == 3
    entries = [json.loads(line) for line in (checkpoints / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [each["n_unreadable"] for each in entries if each["event"] == "epoch"] == [1, 1, 1]
    with monkeypatch.context() as patched:
        crash_in_step(patched, 5)
        train("--set", "logging.save_every_steps=1", name="resumed")
    assert load(checkpoints / "resumed" / "last.pt")["progress"]["unreadable"] == {utterance_id: found["message"]}
    resumed = train("--resume", "auto", name="resumed")
    assert resumed.json["unreadable"] == whole.json["unreadable"]
    assert not any("cannot be decoded" in each for each in resumed.json["warnings"])
    assert differences(checkpoints / "whole", checkpoints / "resumed") == []


def test_no_unreadable_file_is_allowed_with_a_limit_of_0(train, broken):
    outcome = train("--set", "data.max_unreadable=0")
    assert outcome.exit_code == 3
    assert f"error: {broken[0]}: cannot be decoded as .wav audio" in " ".join(outcome.stderr.split())
