"""Warnings of lists whose figures say little."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from mrlspk.evaluation.list_doubts import warn_of_chosen, warn_of_doubts
from mrlspk.evaluation.scored_trials import ScoredTrials


def trials_of(n_speakers, *, n_target=60, n_nontarget=60):
    speakers = np.arange(max(n_target, n_nontarget)) % n_speakers
    enroll = np.concatenate([speakers[:n_target], speakers[:n_nontarget]])
    test = np.concatenate([speakers[:n_target], (speakers[:n_nontarget] + 1) % n_speakers])
    is_target = np.arange(len(enroll)) < n_target
    names = [f"s{number}" for number in range(n_speakers)]
    return ScoredTrials((8,), np.zeros((len(enroll), 1)), is_target, enroll, test, names)


@pytest.fixture
def warned(caplog):
    """Return what is warned of a list."""

    def of(trials, *eers):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            warn_of_doubts("list.txt", trials, eers)
        return [record.getMessage() for record in caplog.records]

    return of


@pytest.mark.parametrize(("n_speakers", "is_few"), [(19, True), (20, False)])
def test_fewer_than_twenty_speakers_are_few(warned, n_speakers, is_few):
    found = warned(trials_of(n_speakers), 0.1)
    assert [text for text in found if f"list.txt: {n_speakers} speakers are few" in text] == found
    assert bool(found) == is_few


@pytest.mark.parametrize(
    ("eer", "says"), [(0.98, "labels look swapped"), (0.8, "labels look swapped"), (0.5, "near the 50 % of chance")]
)
def test_error_rate_that_no_model_has_is_explained(warned, eer, says):
    (found,) = warned(trials_of(30), eer)
    assert says in found


@pytest.mark.parametrize(
    ("trials", "eers"),
    [(trials_of(30), [0.39]), (trials_of(30, n_target=49), [0.5]), (trials_of(30), [0.98, 0.1])],
    ids=["weak model", "few trials", "another model does well"],
)
def test_other_error_rates_are_not_doubted(warned, trials, eers):
    assert warned(trials, *eers) == []


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({}, True),
        ({"corpus": {"validation": "other"}}, False),
        ({"progress": {"epoch": 0}}, False),
        ({"progress": {"epoch": 0}, "verdict": {"kept": "rotation"}}, True),
    ],
    ids=["its own", "others", "rotation", "rotation that a verdict kept"],
)
def test_trials_that_chose_the_checkpoint_are_told(caplog, changes, is_told):
    contents = {"corpus": {"validation": "abc"}, "progress": {"epoch": 3}} | changes
    warn_of_chosen("list.txt", "abc", {"best.pt": SimpleNamespace(contents=contents), "graph.onnx": None})
    told = [record.getMessage() for record in caplog.records]
    assert (
        told
        == ["list.txt: these trials chose the checkpoint best.pt: on other speakers the error may be higher"] * is_told
    )


@pytest.mark.parametrize("kept", [{}, {"progress": {"epoch": 0}}], ids=["trained", "rotation without a verdict"])
def test_model_refitted_on_the_speakers_of_the_trials_is_told(caplog, kept):
    contents = {"corpus": {"validation": "abc"}, "card": {"refit": {"speakers": 40}}} | kept
    warn_of_chosen("list.txt", "abc", {"best.pt": SimpleNamespace(contents=contents)})
    (told,) = [record.getMessage() for record in caplog.records]
    assert "best.pt was refitted on the speakers of these trials" in told
    warn_of_chosen("list.txt", "other", {"best.pt": SimpleNamespace(contents=contents)})
    assert len(caplog.records) == 1
