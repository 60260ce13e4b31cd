import numpy as np
import pytest

from mrlspk.data.trials import Trials
from mrlspk.evaluation.breakdown import break_down, confident_errors, measure_durations, speaker_eer, worst_speakers
from mrlspk.evaluation.score_lists import CroppedTrials
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.eer import equal_error_rate
from scored_lists import drawn_trials, scored_trials


@pytest.fixture
def four():
    """Speakers a and b: a has one miss at the EER threshold, and one false accept against b."""
    scores = np.array([[0.9], [0.2], [0.8], [0.7], [0.1], [0.15]])
    is_target = np.array([True, True, True, False, False, False])
    enroll, test = np.array([0, 0, 1, 0, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    return ScoredTrials((4,), scores, is_target, enroll, test, ("a", "b", "c"))


def test_groups_have_the_trials_whose_sides_agree(four):
    column = break_down(four, "gender", ["f", "f", "m", "f", "f", None], ["f", "f", "m", "m", "f", "m"])
    groups = {group.value: group for group in column.groups}
    assert list(groups) == ["f", "m", "(different)", "(unknown)"]
    assert [(group.n_target, group.n_nontarget) for group in column.groups] == [(2, 1), (1, 0), (0, 1), (0, 1)]
    assert groups["f"].results[0].eer == equal_error_rate(np.array([0.9, 0.2, 0.1]), np.array([True, True, False]))
    assert groups["m"].results == ()


def test_worst_speakers_count_trials_on_either_side(four):
    worst = worst_speakers(four)
    by_name = {each.speaker: each for each in worst.speakers}
    assert worst.speakers[0].speaker == "a"
    a = by_name["a"]
    assert (a.n_target, a.n_nontarget, a.p_miss, a.p_fa) == (2, 2, 0.5, 0.5)
    assert "c" not in by_name  # who has no error


def test_misses_alone_make_a_worst_speaker():
    scores = np.array([[0.9], [0.2], [0.3], [0.8], [0.7], [0.85], [0.1], [0.6], [0.05]])
    is_target = np.arange(9) < 6
    enroll, test = np.array([0, 0, 0, 1, 1, 1, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    trials = ScoredTrials((4,), scores, is_target, enroll, test, ("a", "b", "c"))
    worst = worst_speakers(trials).speakers  # the threshold lies at 0.45: a has two misses of three
    found = [(each.speaker, each.p_miss, each.p_fa) for each in worst]
    assert found == [("a", 2 / 3, 0), ("b", 0, 1 / 2), ("c", None, 1 / 3)]


def test_speaker_eer_is_that_of_the_own_trials():
    trials = drawn_trials()
    mine = (trials.enroll_speaker == 3) | (trials.test_speaker == 3)
    expected = equal_error_rate(trials.scores[mine, 0], trials.is_target[mine])
    assert speaker_eer(trials, 3, trials.scores[:, 0]) == expected


def test_confident_errors_come_worst_first_with_their_names(four):
    names = ("a/1", "a/2", "b/1", "a/1", "a/1", "b/1"), ("a/3", "a/4", "b/2", "b/2", "c/1", "c/2")
    errors = confident_errors(four, Trials(*names, four.is_target, "list", "0" * 64))
    assert [(each.enroll_id, each.test_id, each.score) for each in errors.false_accepts] == [("a/1", "b/2", 0.7)]
    assert [(each.enroll_id, each.test_id, each.score) for each in errors.misses] == [("a/2", "a/4", 0.2)]
    assert 0.2 < errors.threshold <= 0.7


def test_no_more_than_ten_of_a_kind_are_shown():
    trials = scored_trials(np.linspace(0, 1, 40), np.linspace(0, 1, 40))
    ids = tuple(map(str, range(80)))
    errors = confident_errors(trials, Trials(ids, ids, trials.is_target, "list", "0" * 64))
    scores = [each.score for each in errors.false_accepts]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert len(errors.misses) == 10


def left_out(n_trials, n_left_out):
    return np.arange(n_trials) >= n_left_out


def test_each_duration_is_measured_on_its_trials_in_order():
    whole, short = drawn_trials(seed=1), drawn_trials(seed=2, shift=1)
    one, full = measure_durations(whole, {1.0: CroppedTrials(short, left_out(555, 7))}, (1.0, None), 0.05)
    assert (one.seconds, one.n_left_out, one.n_target) == (1.0, 7, 120)
    assert (full.seconds, full.n_left_out) == (None, 0)
    for result, trials in ((one, short), (full, whole)):
        for width, scores in zip(result.results, trials.scores.T, strict=True):
            assert width.eer == equal_error_rate(scores, trials.is_target)
            assert width.min_dcf == min_dcf(scores, trials.is_target, p_target=0.05)


def test_a_duration_without_trials_is_not_measured():
    (result,) = measure_durations(scored_trials([1], [0]), {9.0: CroppedTrials(None, left_out(2, 2))}, (9.0,), 0.05)
    assert (result.n_target, result.n_nontarget, result.n_left_out) == (0, 0, 2)
    assert result.results == ()


def test_a_duration_with_one_kind_of_trial_is_not_measured():
    only_target = scored_trials([1, 2], [])
    (result,) = measure_durations(
        scored_trials([1], [0]), {9.0: CroppedTrials(only_target, left_out(3, 1))}, (9.0,), 0.05
    )
    assert (result.n_target, result.results) == (2, ())
