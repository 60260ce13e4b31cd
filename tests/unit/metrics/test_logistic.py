import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mrlspk.errors import MetricError
from mrlspk.metrics.cllr import cllr, min_cllr
from mrlspk.metrics.logistic import fit_logistic


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    is_target = rng.random(3000) < 0.2
    score = 0.2 * rng.normal(size=3000) + 0.5 * is_target
    seconds = rng.uniform(1, 30, size=3000)
    return np.stack([score, seconds], axis=1), is_target


@pytest.mark.parametrize("p_target", [0.01, 0.5])
@pytest.mark.parametrize("ridge", [1e-5, 0.1])
def test_line_equals_that_of_scikit_learn(trials, p_target, ridge):
    features, is_target = trials
    unit = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = np.where(is_target, p_target / is_target.sum(), (1 - p_target) / (~is_target).sum())
    other = LogisticRegression(C=1 / ridge, tol=1e-12, solver="newton-cholesky").fit(unit, is_target, weights)
    expected = other.decision_function(unit) - np.log(p_target / (1 - p_target))
    ratios = fit_logistic(features, is_target, p_target=p_target, ridge=ridge).llrs(features)
    np.testing.assert_allclose(ratios, expected, atol=1e-5)


def test_ratios_of_two_normal_densities_are_found():
    rng = np.random.default_rng(1)
    is_target = np.arange(200_000) < 100_000
    scores = rng.normal(size=200_000) + 2 * is_target  # log ratio: 2 x - 2
    model = fit_logistic(scores[:, None], is_target, p_target=0.5)
    assert model.weights == pytest.approx([2.0], abs=0.05)
    assert model.offset == pytest.approx(-2.0, abs=0.05)
    ratios = model.llrs(scores[:, None])
    assert min_cllr(scores, is_target) <= cllr(ratios, is_target) < min_cllr(scores, is_target) + 1e-3


def test_scale_and_origin_of_a_feature_do_not_matter(trials):
    features, is_target = trials
    ratios = fit_logistic(features, is_target, p_target=0.1).llrs(features)
    moved = features * [1e-3, 1e3] + [5, -7]
    np.testing.assert_allclose(fit_logistic(moved, is_target, p_target=0.1).llrs(moved), ratios, atol=1e-6)


def test_separable_trials_give_finite_ratios_that_rise():
    scores = np.array([[0.1], [0.2], [0.8], [0.9]])
    ratios = fit_logistic(scores, np.array([False, False, True, True]), p_target=0.05).llrs(scores)
    assert np.isfinite(ratios).all()
    assert (np.diff(ratios) > 0).all()
    assert ratios[1] < -3
    assert ratios[2] > 3


def test_a_feature_that_does_not_vary_weighs_nothing(trials):
    features, is_target = trials
    constant = np.column_stack([features[:, 0], np.full(len(features), 4.0)])
    model = fit_logistic(constant, is_target, p_target=0.05)
    assert model.weights[1] == 0
    alone = fit_logistic(features[:, :1], is_target, p_target=0.05)
    np.testing.assert_allclose(model.llrs(constant), alone.llrs(features[:, :1]), atol=1e-6)


@pytest.mark.parametrize(
    ("features", "is_target", "p_target", "message"),
    [
        ([1.0, 2.0], [True, False], 0.5, "expected .trials, features."),
        ([[1.0], [np.nan]], [True, False], 0.5, "not finite"),
        ([[1.0], [2.0]], [True, True], 0.5, "both kinds"),
        ([[1.0], [2.0]], [True, False], 1.0, "prior"),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, is_target, p_target, message):
    with pytest.raises(MetricError, match=message):
        fit_logistic(np.array(features), np.array(is_target), p_target=p_target)
