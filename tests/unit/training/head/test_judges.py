"""Division of held-out speakers into those that choose the epoch and those that judge."""

import numpy as np
import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.held_out import draw_trials
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.training.head.judges import divide, draw_judges
from mrlspk.training.validation import ValidationTrials


def trials_among(n_speakers, *, domains=None, n_trials=2000):
    """Trials among speakers of four utterances each."""
    ids = [f"s{speaker:02}/a/{number}.wav" for speaker in range(n_speakers) for number in range(4)]
    utterances = tuple(Utterance(each, each.split("/")[0], "a", FileSource(each)) for each in ids)
    manifest = Manifest("corpus", utterances)
    trials = draw_trials(manifest, n_trials, seed=0, match=None, domains=domains or {})
    options = {"dims": (4,), "published_dims": (4,), "weights": (1.0,), "scale": 30.0, "p_target": 0.05}
    return ValidationTrials(utterances, trials, **options, domains=domains)


def test_speakers_that_judge_do_not_choose_the_epoch():
    trials = trials_among(36)
    judges = draw_judges(trials, seed=1)
    choosing, judging = divide(trials, judges)
    assert (len(choosing.speakers), len(judging.speakers)) == (9, 27)
    assert not set(choosing.speakers) & set(judging.speakers)
    assert set(judging.speakers) == set(judges)
    assert draw_judges(trials, seed=1) == judges != draw_judges(trials, seed=2)


def test_judges_do_not_change_the_metrics_that_choose_the_epoch():
    trials = trials_among(36)
    choosing, _ = divide(trials, judges := draw_judges(trials, seed=1))
    embeddings = np.random.default_rng(0).normal(size=(len(trials.utterances), 4))
    before = choosing.result(embeddings)
    for row, utterance in enumerate(trials.utterances):
        if utterance.speaker_id in judges:
            embeddings[row] = [1, 0, 0, 0]
    assert choosing.result(embeddings) == before
    assert trials.result(embeddings) != before


def test_few_speakers_choose_the_epoch_and_judge():
    trials = trials_among(29)
    assert draw_judges(trials, seed=1) == ()
    assert divide(trials, ()) == (trials, trials)
    assert len(draw_judges(trials_among(30), seed=1)) == 23


def test_trials_too_few_to_divide_are_used_twice():
    assert draw_judges(trials_among(36, n_trials=8), seed=1) == ()


def test_each_domain_has_speakers_of_both_kinds():
    domains = {f"s{number:02}": "small" if number < 9 else "large" for number in range(36)}
    trials = trials_among(36, domains=domains)
    choosing, judging = divide(trials, draw_judges(trials, seed=1))
    counts = [{name: len(each) for name, each in some.speakers_by_domain().items()} for some in (choosing, judging)]
    assert counts == [{"large": 6, "small": 2}, {"large": 21, "small": 7}]
    assert judging.by_domain().keys() == {"large", "small"}
    sides = zip(trials.trials.enroll_ids, trials.trials.test_ids, strict=True)
    assert all(domains[a[:3]] == domains[b[:3]] for a, b in sides)


def test_best_epoch_counts_each_domain_once():
    domains = {f"s{number:02}": "small" if number < 6 else "large" for number in range(36)}
    trials = trials_among(36, domains=domains)
    embeddings = np.random.default_rng(0).normal(size=(len(trials.utterances), 4))
    by_domain = [np.log(each.eers(embeddings, (4,))[4]) for each in trials.by_domain().values()]
    assert trials.result(embeddings).mean_log_eer == pytest.approx(np.mean(by_domain))
