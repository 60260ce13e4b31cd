import numpy as np
import pytest
from sklearn.metrics import roc_curve

from mrlspk.errors import MetricError
from mrlspk.metrics.det import det_corners, equal_error_rates, operating_points, threshold_at_far
from mrlspk.metrics.eer import equal_error_rate


def test_points_match_hand_count_with_a_tie():
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    points = operating_points(scores, np.array([False, True, False, True]))
    assert points.thresholds.tolist() == [1.0, 1.5, 2.5, np.inf]
    assert points.p_miss.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert points.p_fa.tolist() == [1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("decimals", [1, 12])
def test_points_equal_scikit_learn(decimals):
    generator = np.random.default_rng(0)
    is_target = generator.random(500) < 0.3
    scores = np.round(generator.normal(size=500) + is_target, decimals)
    points = operating_points(scores, is_target)
    p_fa, p_hit, _ = roc_curve(is_target, scores, drop_intermediate=False)
    np.testing.assert_allclose(points.p_fa[::-1], p_fa, atol=1e-12)
    np.testing.assert_allclose(points.p_miss[::-1], 1 - p_hit, atol=1e-12)


def test_every_threshold_has_the_rates_of_its_point():
    generator = np.random.default_rng(1)
    is_target = generator.random(60) < 0.5
    scores = np.round(generator.normal(size=60), 1).astype(np.float32)
    scores[0], scores[1] = 0.5, np.nextafter(np.float32(0.5), np.float32(1))
    points = operating_points(scores, is_target)
    for threshold, p_miss, p_fa in zip(points.thresholds, points.p_miss, points.p_fa, strict=True):
        assert np.mean(scores[is_target] < threshold) == pytest.approx(p_miss)
        assert np.mean(scores[~is_target] >= threshold) == pytest.approx(p_fa)


def test_a_threshold_separates_neighbouring_floats():
    lower, upper = 0.5, np.nextafter(0.5, 1)
    points = operating_points(np.array([lower, upper]), np.array([False, True]))
    assert lower < points.thresholds[1] <= upper


@pytest.mark.parametrize(
    ("scores", "is_target", "message"),
    [
        ([1.0, 2.0], [True, True], "2 target and 0 non-target"),
        ([1.0, 2.0], [False, False], "0 target and 2 non-target"),
        ([1.0, np.nan, np.inf], [True, False, True], "2 of 3 scores are not finite"),
        ([1.0, 2.0, 3.0], [True, False], "one score a trial"),
        ([], [], "0 target and 0 non-target"),
    ],
)
def test_unusable_scores_are_refused(scores, is_target, message):
    with pytest.raises(MetricError, match=message):
        operating_points(np.array(scores), np.array(is_target, dtype=bool))


@pytest.mark.parametrize(
    ("far", "expected"),
    [
        (1.0, (0.1, 1.0, 0.0)),
        (0.5, (0.45, 0.5, 0.0)),  # between 0.4 and 0.5
        (0.3, (0.7, 0.25, 0.5)),  # between 0.6 and 0.8: of four trials, one
        (0.0, (0.85, 0.0, 0.5)),
    ],
)
def test_threshold_at_a_false_accept_rate_matches_hand_count(far, expected):
    scores = np.array([0.5, 0.9, 0.1, 0.4, 0.6, 0.8])
    points = operating_points(scores, np.array([True, True, False, False, False, False]))
    assert threshold_at_far(points, far) == pytest.approx(expected)


def test_threshold_is_infinite_if_the_highest_score_is_nontarget():
    points = operating_points(np.array([0.1, 0.9]), np.array([True, False]))
    assert threshold_at_far(points, 0.0) == (np.inf, 0.0, 1.0)


@pytest.mark.parametrize("far", [-0.1, 1.1, float("nan")])
def test_false_accept_rate_outside_zero_to_one_is_rejected(far):
    points = operating_points(np.array([0.1, 0.9]), np.array([False, True]))
    with pytest.raises(MetricError, match="false-accept rate"):
        threshold_at_far(points, far)


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
