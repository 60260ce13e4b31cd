import numpy as np
import pytest
from sklearn.metrics import roc_curve

from mrlspk.errors import MetricError
from mrlspk.metrics.dcf import act_dcf, min_dcf, min_dcf_threshold_at
from mrlspk.metrics.det import operating_points

SCORES = np.array([0.2, 0.7, 0.8, 0.9, 0.1, 0.3, 0.4, 0.75])
IS_TARGET = np.array([True] * 4 + [False] * 4)


@pytest.mark.parametrize(
    ("p_target", "c_miss", "c_fa", "expected"),
    [
        (0.5, 1, 1, 0.5),  # one miss (0.2) and one false alarm (0.75), each 1/4 at weight 1
        (0.01, 1, 1, 0.5),  # false alarms weigh 99: accept 0.8 and above, missing two of four
        (0.99, 1, 1, 0.75),  # misses weigh 99: accept from 0.2 up, three false alarms of four
        (0.01, 99, 1, 0.5),  # costs make up for the prior
    ],
)
def test_min_dcf_matches_hand_count(p_target, c_miss, c_fa, expected):
    assert min_dcf(SCORES, IS_TARGET, p_target=p_target, c_miss=c_miss, c_fa=c_fa) == pytest.approx(expected)


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5])
def test_min_dcf_equals_least_cost_on_scikit_learn_curve(p_target):
    generator = np.random.default_rng(0)
    is_target = generator.random(1000) < 0.2
    scores = np.round(generator.normal(size=1000) + 2 * is_target, 1)
    p_fa, p_hit, _ = roc_curve(is_target, scores, drop_intermediate=False)
    expected = np.min(p_target * (1 - p_hit) + (1 - p_target) * p_fa) / min(p_target, 1 - p_target)
    assert min_dcf(scores, is_target, p_target=p_target) == pytest.approx(expected, abs=1e-12)


def test_min_dcf_of_worthless_scores_is_one():
    scores, is_target = np.array([0.1, 0.2, 0.8, 0.9]), np.array([True, True, False, False])
    assert min_dcf(scores, is_target, p_target=0.05) == 1.0


def test_act_dcf_takes_the_bayes_threshold():
    llrs = np.array([0.5, -0.5, 2.0, -0.1, 0.1, -3.0])
    is_target = np.array([True, True, True, False, False, False])
    assert act_dcf(llrs, is_target, p_target=0.5) == pytest.approx(1 / 3 + 1 / 3)  # threshold 0: a miss, a false alarm
    assert act_dcf(llrs, is_target, p_target=0.2) == pytest.approx(2 / 3)  # threshold ln 4: two misses


@pytest.mark.parametrize("p_target", [0.0, 1.0, -0.1, float("nan")])
def test_priors_outside_zero_to_one_are_refused(p_target):
    with pytest.raises(MetricError, match="prior"):
        min_dcf(SCORES, IS_TARGET, p_target=p_target)


def test_costs_of_zero_are_refused():
    with pytest.raises(MetricError, match="costs"):
        act_dcf(SCORES, IS_TARGET, p_target=0.5, c_fa=0)


@pytest.mark.parametrize(("p_target", "expected"), [(0.5, 0.55), (0.01, 0.775), (0.99, 0.15)])
def test_threshold_of_the_least_cost_matches_hand_count(p_target, expected):
    # Midway below 0.7 (of equal costs the lowest threshold), below 0.8, and below 0.2.
    assert min_dcf_threshold_at(operating_points(SCORES, IS_TARGET), p_target=p_target) == pytest.approx(expected)


def test_threshold_is_infinite_where_accepting_none_costs_least():
    points = operating_points(np.array([0.1, 0.9]), np.array([True, False]))
    assert min_dcf_threshold_at(points, p_target=0.01) == np.inf
