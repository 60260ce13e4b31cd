import numpy as np
import pytest

from mrlspk.evaluation.figures import WidthIntervals, measure
from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.dcf import act_dcf, min_dcf
from mrlspk.metrics.eer import eer_threshold, equal_error_rate
from scored_lists import drawn_trials, scored_trials


def test_each_width_has_the_figures_of_its_scores():
    trials = drawn_trials()
    results = measure(trials, p_targets=(0.05, 0.5), false_accept_rates=(0.1,))
    assert [result.dim for result in results] == [4, 8]
    for result, scores in zip(results, trials.scores.T, strict=True):
        assert result.eer == equal_error_rate(scores, trials.is_target)
        assert result.threshold == eer_threshold(scores, trials.is_target)
        accepted = scores >= result.threshold
        assert result.accuracy == pytest.approx(np.mean(accepted == trials.is_target))
        for each in result.dcf:
            assert each.min_dcf == min_dcf(scores, trials.is_target, p_target=each.p_target)
            beyond = scores >= each.threshold
            p_miss, p_fa = np.mean(~beyond[trials.is_target]), np.mean(beyond[~trials.is_target])
            odds = (1 - each.p_target) / each.p_target
            assert each.min_dcf == pytest.approx(p_miss + odds * p_fa if odds >= 1 else p_miss / odds + p_fa)
        (at_far,) = result.false_accepts
        assert np.mean(scores[~trials.is_target] >= at_far.threshold) <= 0.1
        assert at_far.p_miss == np.mean(scores[trials.is_target] < at_far.threshold)


def test_figures_of_ratios_are_none_without_ratios():
    (result,) = measure(scored_trials([2, 3], [0, 1]), p_targets=(0.05,), false_accept_rates=())
    assert (result.cllr, result.calibrated_threshold, result.dcf[0].act_dcf, result.eer_ci) == (None,) * 4


def test_figures_of_ratios_are_those_of_the_ratios_given():
    trials = scored_trials([2, 3, 0.5], [0, 1, -1])
    llrs = 2 * trials.scores - 2
    (result,) = measure(trials, p_targets=(0.05,), false_accept_rates=(), llrs=llrs, calibrated_thresholds=[1.25])
    assert result.cllr == cllr(llrs[:, 0], trials.is_target)
    assert result.dcf[0].act_dcf == act_dcf(llrs[:, 0], trials.is_target, p_target=0.05)
    assert result.calibrated_threshold == 1.25


def test_intervals_go_with_their_width_and_prior():
    trials = drawn_trials()
    intervals = [WidthIntervals((d / 10, d / 5), ((0.1, 0.2), (0.3, d))) for d in (1, 2)]
    results = measure(trials, p_targets=(0.05, 0.5), false_accept_rates=(), intervals=intervals)
    assert [result.eer_ci for result in results] == [(0.1, 0.2), (0.2, 0.4)]
    assert [result.dcf[1].min_dcf_ci for result in results] == [(0.3, 1), (0.3, 2)]
