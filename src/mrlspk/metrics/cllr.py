"""The cost of log-likelihood ratios, as they are and after the best monotone map of the scores."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from mrlspk.metrics.det import OperatingPoints, operating_points, split_scores


def cllr(llrs: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return the cost, in bits, of natural-log likelihood ratios (Brümmer and du Preez 2006); arrays are (trials,).

    0 is perfect; 1 is what ratios of 1 throughout give; badly calibrated ratios exceed 1.

    Raises:
        MetricError: If the arrays do not pair, a ratio is not finite, or one kind of trial is absent.
    """
    target, nontarget = split_scores(llrs, is_target)
    nats = (np.logaddexp(0, -target).mean() + np.logaddexp(0, nontarget).mean()) / 2
    return float(nats / np.log(2))


def min_cllr(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return the least Cllr, in bits, of any rising map of the scores to ratios; both arrays are (trials,).

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    return min_cllr_at(operating_points(scores, is_target))


def min_cllr_at(points: OperatingPoints) -> float:
    """Return the least Cllr, in bits in [0, 1], of any rising map of the scores to ratios (Brümmer and du Preez 2006).

    The map is found by pooling adjacent violators at even odds: the posterior of a pool is then its share of the target
    trials beside its share of the non-target trials. Equal scores stay together.
    """
    target, nontarget = np.diff(points.p_miss), -np.diff(points.p_fa)
    posterior = isotonic_regression(target / (target + nontarget), weights=target + nontarget).x
    # A trial whose posterior is 0 or 1 against its kind does not exist: such a pool holds one kind alone.
    bits = target @ np.log2(np.where(target > 0, posterior, 1)) + nontarget @ np.log2(
        np.where(nontarget > 0, 1 - posterior, 1)
    )
    return float(-bits / 2)
