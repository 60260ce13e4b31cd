import numpy as np
import pytest

from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.dcf import act_dcf, min_dcf
from mrlspk.metrics.eer import eer_threshold, equal_error_rate
from mrlspk.metrics.significance import bootstrap_speakers, rate_interval
from mrlspk.metrics.width_metrics import measure_widths
from scored_lists import drawn_trials, scored_trials


def measure(trials, **options):
    return measure_widths(trials.scores, trials.is_target, trials.dims, **options)


def test_each_width_is_measured_on_its_own_scores():
    trials = drawn_trials()
    results = measure(trials, p_targets=(0.05, 0.5), false_accept_rates=(0.1,))
    assert [result.dim for result in results] == [4, 8]
    for result, scores in zip(results, trials.scores.T, strict=True):
        assert result.eer == equal_error_rate(scores, trials.is_target)
        assert result.threshold == eer_threshold(scores, trials.is_target)
        accepted = scores >= result.threshold
        assert result.accuracy == pytest.approx(np.mean(accepted == trials.is_target))
        assert result.min_dcf == result.dcf[0].min_dcf
        for each in result.dcf:
            assert each.min_dcf == min_dcf(scores, trials.is_target, p_target=each.p_target)
            beyond = scores >= each.threshold
            p_miss, p_fa = np.mean(~beyond[trials.is_target]), np.mean(beyond[~trials.is_target])
            odds = (1 - each.p_target) / each.p_target
            assert each.min_dcf == pytest.approx(p_miss + odds * p_fa if odds >= 1 else p_miss / odds + p_fa)
        (at_far,) = result.false_accepts
        assert np.mean(scores[~trials.is_target] >= at_far.threshold) <= 0.1
        assert at_far.p_miss == np.mean(scores[trials.is_target] < at_far.threshold)


def test_metrics_of_ratios_are_none_without_ratios():
    (result,) = measure(scored_trials([2, 3], [0, 1]), p_targets=(0.05,))
    assert (result.cllr, result.calibrated_threshold, result.dcf[0].act_dcf, result.eer_ci) == (None,) * 4


def test_brief_metrics_lack_min_cllr_only():
    trials = drawn_trials()
    results = measure(trials, p_targets=(0.05,)), measure(trials, p_targets=(0.05,), brief=True)
    for whole, brief in zip(*results, strict=True):
        assert brief.min_cllr is None
        assert vars(whole) == vars(brief) | {"min_cllr": whole.min_cllr}


def test_metrics_of_ratios_are_measured_on_the_given_ratios():
    trials = scored_trials([2, 3, 0.5], [0, 1, -1])
    llrs = 2 * trials.scores - 2
    (result,) = measure(trials, p_targets=(0.05,), llrs=llrs, calibrated_thresholds=[1.25])
    assert result.cllr == cllr(llrs[:, 0], trials.is_target)
    assert result.dcf[0].act_dcf == act_dcf(llrs[:, 0], trials.is_target, p_target=0.05)
    assert result.calibrated_threshold == 1.25


def test_intervals_belong_to_their_width_and_prior():
    trials = drawn_trials()
    resamples = bootstrap_speakers(
        trials.scores,
        trials.is_target,
        trials.enroll_speaker,
        trials.test_speaker,
        p_targets=(0.05, 0.2),
        n_resamples=200,
        seed=3,
    )
    results = measure(trials, p_targets=(0.05, 0.2), resamples=resamples)
    for column, (result, scores) in enumerate(zip(results, trials.scores.T, strict=True)):
        eer = equal_error_rate(scores, trials.is_target)
        assert result.eer_ci == rate_interval(resamples.eer[:, column], eer, n_speakers=30, level=0.95)
        for index, each in enumerate(result.dcf):
            cost = min_dcf(scores, trials.is_target, p_target=each.p_target)
            of_prior = resamples.min_dcf[:, column, index]
            expected = rate_interval(of_prior, cost, n_speakers=30, weight=1 / each.p_target, level=0.95)
            assert each.min_dcf_ci == expected
