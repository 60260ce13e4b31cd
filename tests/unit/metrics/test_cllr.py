import numpy as np
import pytest
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression

from mrlspk.metrics.cllr import cllr, min_cllr

IS_TARGET = np.array([True, False])


@pytest.mark.parametrize(
    ("llrs", "expected"),
    [
        ([0.0, 0.0], 1.0),
        ([np.log(3), -np.log(3)], np.log2(4 / 3)),  # log2(1 + 1/3) on both sides
        ([np.log(3), np.log(3)], (np.log2(4 / 3) + 2) / 2),
        ([1000.0, -1000.0], 0.0),
        ([-1000.0, 1000.0], 1000 / np.log(2)),  # far out, without overflow
    ],
)
def test_cllr_matches_hand_count(llrs, expected):
    assert cllr(np.array(llrs), IS_TARGET) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.0),  # separable
        ([0.5, 0.5], [0.5], 1.0),  # all tied
        ([0.1, 0.2], [0.8, 0.9], 1.0),  # the wrong way round
        # pools: {0.1} 0, {0.4, 0.6} even odds, {0.9} 1: half of each kind pays one bit
        ([0.4, 0.9], [0.1, 0.6], 0.5),
    ],
)
def test_min_cllr_matches_hand_count(target, nontarget, expected):
    scores = np.array(target + nontarget)
    assert min_cllr(scores, np.arange(scores.size) < len(target)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 12])
def test_min_cllr_is_the_cllr_of_isotonic_ratios_of_scikit_learn(decimals):
    rng = np.random.default_rng(0)
    is_target = rng.random(1000) < 0.2
    scores = np.round(rng.normal(size=1000) + 1.5 * is_target, decimals)
    weights = np.where(is_target, 1 / is_target.sum(), 1 / (~is_target).sum())
    posterior = IsotonicRegression().fit_transform(scores, is_target, sample_weight=weights)
    llrs = logit(np.clip(posterior, 1e-15, 1 - 1e-15))
    assert min_cllr(scores, is_target) == pytest.approx(cllr(llrs, is_target), abs=1e-9)
