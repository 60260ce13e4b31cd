import numpy as np
import pytest
from scipy.special import expit, ndtri
from sklearn.metrics import roc_curve

from mrlspk.errors import MetricError
from mrlspk.evaluation.report.curves import bayes_error_curve, det_curve, score_curves, score_histogram
from mrlspk.metrics.dcf import act_dcf, min_dcf
from mrlspk.metrics.det import operating_points


def _scores(n_target, n_nontarget, *, seed=0):
    generator = np.random.default_rng(seed)
    scores = np.concatenate([generator.normal(2.5, 1, n_target), generator.normal(0, 1, n_nontarget)])
    return scores, np.arange(scores.size) < n_target


def _distance_to_line(curve, points):
    """How far each point (2,) lies from the line through the points of ``curve`` (points, 2)."""
    start, step = curve[:-1, None], np.diff(curve, axis=0)[:, None]
    along = ((points - start) * step).sum(axis=2) / np.maximum((step**2).sum(axis=2), 1e-30)
    nearest = start + np.clip(along, 0, 1)[..., None] * step
    return np.linalg.norm(points - nearest, axis=2).min(axis=0)


def test_det_curve_turns_where_a_hand_count_turns():
    scores = np.array([0.9, 0.7, 0.4, 0.8, 0.3, 0.2, 0.1])
    is_target = np.array([True, True, True, False, False, False, False])
    p_fa, p_miss = det_curve(operating_points(scores, is_target)).values()
    # By rising threshold: three accepts fall away, then target 0.4 and 0.7, then non-target 0.8, then target 0.9.
    assert p_fa == [1, 0.25, 0.25, 0, 0]
    assert p_miss == pytest.approx([0, 0, 2 / 3, 2 / 3, 1])


def test_det_curve_has_the_corners_of_another_implementation():
    scores, is_target = _scores(40, 60)
    p_fa, p_miss = det_curve(operating_points(scores, is_target)).values()
    other_fa, other_hit, _ = roc_curve(is_target, scores, drop_intermediate=True)
    other = np.delete(np.column_stack([other_fa, 1 - other_hit]), 1, axis=0)  # the first threshold lies on a step
    assert np.column_stack([p_fa, p_miss])[::-1] == pytest.approx(other)


@pytest.mark.slow
def test_thinned_det_curve_is_close_to_all_of_it():
    scores, is_target = _scores(4000, 30000)
    points = operating_points(scores, is_target)
    p_fa, p_miss = det_curve(points).values()
    assert 150 < len(p_fa) == len(p_miss) <= 300
    assert (p_fa[0], p_miss[0], p_fa[-1], p_miss[-1]) == (1, 0, 0, 1)
    whole = {tuple(pair) for pair in zip(points.p_fa, points.p_miss, strict=True)}
    assert whole.issuperset(zip(p_fa, p_miss, strict=True))
    inside = (np.minimum(points.p_fa, points.p_miss) > 0) & (np.maximum(points.p_fa, points.p_miss) < 1)
    curve = np.column_stack([p_fa, p_miss])[1:-1]
    curve = curve[((curve > 0) & (curve < 1)).all(axis=1)]
    missed = _distance_to_line(ndtri(curve), ndtri(np.column_stack([points.p_fa, points.p_miss])[inside][::20]))
    assert missed.max() < 0.03  # of a deviate: less than a line is broad


@pytest.mark.parametrize("scores", [[0.9, 0.8, 0.2, 0.1], [0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.8, 0.9]])
def test_det_curve_of_separable_tied_and_reversed_scores_has_both_ends(scores):
    p_fa, p_miss = det_curve(operating_points(np.array(scores), np.array([True, True, False, False]))).values()
    assert (p_fa[0], p_miss[0], p_fa[-1], p_miss[-1]) == (1, 0, 0, 1)


def test_histogram_counts_every_trial_once():
    scores, is_target = _scores(50, 200)
    histogram = score_histogram(scores, is_target)
    assert sum(histogram["target"]) == 50
    assert sum(histogram["nontarget"]) == 200
    assert len(histogram["edges"]) == len(histogram["target"]) + 1
    assert (histogram["edges"][0], histogram["edges"][-1]) == (scores.min(), scores.max())


def test_histogram_matches_hand_count():
    histogram = score_histogram(np.array([0.0, 1.0, 1.5, 4.0]), np.array([False, False, True, True]), n_bins=4)
    assert histogram == {"edges": [0, 1, 2, 3, 4], "target": [0, 1, 0, 1], "nontarget": [1, 1, 0, 0]}


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("scale", [2, -1, 0])
def test_bayes_errors_are_the_detection_costs_of_each_prior(decimals, scale):
    scores, is_target = _scores(300, 900)
    llrs = scale * scores.round(decimals) - 1.71234
    curve = bayes_error_curve(llrs, is_target)
    for log_odds, actual, least in list(zip(curve["log_odds"], curve["act_dcf"], curve["min_dcf"], strict=True))[::7]:
        prior = float(expit(log_odds))
        assert actual == pytest.approx(act_dcf(llrs, is_target, p_target=prior))
        assert least == pytest.approx(min_dcf(llrs, is_target, p_target=prior))


def test_curves_hold_plain_values_for_every_width():
    scores, is_target = _scores(20, 30)
    both = np.column_stack([scores, scores**3])
    curves = score_curves(both, is_target, (16, 32), llrs=both)
    assert [each["dim"] for each in curves["det"]] == [16, 32]
    assert [each["dim"] for each in curves["calibration"]] == [16, 32]
    assert type(curves["det"][0]["p_fa"][0]) is float
    assert type(curves["histograms"][1]["target"][0]) is int
    assert score_curves(both, is_target, (16, 32))["calibration"] is None


def test_one_kind_of_trial_is_an_error():
    with pytest.raises(MetricError, match="both kinds of trial"):
        score_curves(np.ones((3, 1)), np.ones(3, bool), (16,))
