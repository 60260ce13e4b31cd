import numpy as np

from mrlspk.evaluation.durations import measure_durations
from mrlspk.evaluation.model_scores import CroppedTrials
from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.eer import equal_error_rate
from scored_lists import drawn_trials, scored_trials


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
