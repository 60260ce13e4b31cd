import math

import numpy as np
import pytest

from mrlspk.errors import MetricError
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import accuracy_at, eer_threshold, equal_error_rate, mean_log_eer


def trials(target, nontarget):
    return np.array(target + nontarget), np.arange(len(target) + len(nontarget)) < len(target)


@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.0),  # separable
        ([0.5, 0.5], [0.5, 0.5], 0.5),  # all tied
        ([0.2, 0.7, 0.8, 0.9], [0.1, 0.3, 0.4, 0.75], 0.25),  # one error on each side
        ([0.1, 0.2], [0.8, 0.9], 1.0),  # the wrong way round
        ([0.5, 0.9], [0.5, 0.1, 0.1], 1 / 5),  # line from (0, 1/3) to (1/2, 0): x = 1/3 - 2x/3
        ([0.9], [0.1, 0.2, 0.95], 1 / 3),  # the line of one target trial crosses at the false-alarm rate
    ],
)
def test_equal_error_rate_matches_hand_count(target, nontarget, expected):
    assert equal_error_rate(*trials(target, nontarget)) == pytest.approx(expected, abs=1e-12)


def test_order_of_trials_does_not_matter():
    generator = np.random.default_rng(3)
    scores, is_target = trials([0.5] * 30 + [0.7] * 30, [0.5] * 50 + [0.2] * 20)
    order = generator.permutation(scores.size)
    assert equal_error_rate(scores[order], is_target[order]) == equal_error_rate(scores, is_target)


@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.5),  # midway in the gap
        ([0.2, 0.7, 0.8, 0.9], [0.1, 0.3, 0.4, 0.75], 0.55),  # one error on each side: between 0.4 and 0.7
        ([0.5], [0.5], 0.5),  # all tied: finite
    ],
)
def test_threshold_of_the_eer_matches_hand_count(target, nontarget, expected):
    assert eer_threshold(*trials(target, nontarget)) == pytest.approx(expected)


def test_mean_log_eer_is_the_mean_of_logarithms():
    expected = (math.log(0.02) + math.log(0.08)) / 2
    assert mean_log_eer([0.02, 0.08], n_target=1000, n_nontarget=1000) == pytest.approx(expected)


def test_mean_log_eer_counts_zero_as_half_an_error():
    assert mean_log_eer([0.0], n_target=100, n_nontarget=400) == pytest.approx(math.log(0.5 / 400))


def test_least_possible_eer_lies_above_the_floor_of_the_mean():
    eer = equal_error_rate(*trials([0.5, 0.9], [0.5, 0.1]))  # one tie is the least error that two and two trials allow
    assert mean_log_eer([eer], n_target=2, n_nontarget=2) == pytest.approx(math.log(eer))


@pytest.mark.parametrize("eers", [[], [1.2], [math.nan]])
def test_mean_log_eer_refuses_what_is_no_rate(eers):
    with pytest.raises(MetricError, match="expected rates"):
        mean_log_eer(eers, n_target=10, n_nontarget=10)


@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [
        ([0.8, 0.9], [0.1, 0.2], 1.0),
        ([0.2, 0.7, 0.8, 0.9], [0.1, 0.3, 0.4, 0.75], 6 / 8),
        ([0.9], [0.1, 0.2, 0.95], 3 / 4),  # at 0.55: no miss, one false accept
        ([0.5], [0.5], 0.5),
    ],
)
def test_accuracy_at_the_equal_error_rate_matches_hand_count(target, nontarget, expected):
    points = operating_points(*trials(target, nontarget))
    assert accuracy_at(points, n_target=len(target), n_nontarget=len(nontarget)) == pytest.approx(expected)
