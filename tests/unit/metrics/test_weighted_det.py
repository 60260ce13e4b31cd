import numpy as np
import pytest

from mrlspk.metrics.eer import equal_error_rate
from mrlspk.metrics.weighted_det import det_corners, equal_error_rates


def weighted_eer(scores, is_target, weights):
    corners = det_corners(scores, is_target)
    rates = corners.rates(weights[None, is_target].astype(float), weights[None, ~is_target].astype(float))
    return equal_error_rates(*rates)[0]


def test_corners_match_hand_count():
    scores = np.array([1.0, 2.0, 3.0, 3.0, 4.0, 5.0])
    corners = det_corners(scores, np.array([False, False, True, False, True, True]))
    assert corners.n_target.tolist() == [0, 0, 1, 3]
    assert corners.n_nontarget.tolist() == [0, 2, 3, 3]


def test_two_ties_beside_each_other_keep_the_corner_between_them():
    scores = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    is_target = np.array([True, False, False, True, True, False])
    assert det_corners(scores, is_target).n_target.tolist() == [0, 1, 3]


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_weights_are_repetitions(decimals):
    rng = np.random.default_rng(decimals)
    is_target = rng.random(200) < 0.4
    scores, weights = np.round(rng.normal(size=200) + is_target, decimals), rng.integers(4, size=200)
    expected = equal_error_rate(np.repeat(scores, weights), np.repeat(is_target, weights))
    assert weighted_eer(scores, is_target, weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [([0.8, 0.9], [0.1], 0.0), ([0.5, 0.5], [0.5], 0.5), ([0.1], [0.8, 0.9], 1.0), ([0.9], [0.1, 0.2, 0.95], 1 / 3)],
)
def test_small_sets_match_hand_count(target, nontarget, expected):
    scores = np.array(target + nontarget)
    is_target = np.arange(scores.size) < len(target)
    assert weighted_eer(scores, is_target, np.ones(scores.size)) == pytest.approx(expected, abs=1e-12)
