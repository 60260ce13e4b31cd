"""Cllr, the cost of log-likelihood ratios, and minCllr, the cost after the best monotone calibration."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from mrlspk.metrics.det import OperatingPoints, operating_points, split_scores


def cllr(llrs: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return the cost, in bits, of natural-log likelihood ratios (Brümmer and du Preez 2006); arrays are (trials,).

    0 is perfect, 1 is the cost of ratios of 1; badly calibrated ratios exceed 1.

    Raises:
        MetricError: If the arrays do not pair, a ratio is not finite, or one kind of trial is absent.
    """
    target, nontarget = split_scores(llrs, is_target)
    nats = (np.logaddexp(0, -target).mean() + np.logaddexp(0, nontarget).mean()) / 2
    return float(nats / np.log(2))


def min_cllr(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return minCllr, in bits: the minimum over all rising maps of the scores to ratios; both arrays are (trials,).

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    return min_cllr_at(operating_points(scores, is_target))


def min_cllr_at(points: OperatingPoints) -> float:
    """Return minCllr, in bits in [0, 1]: the minimum over all rising maps of the scores (Brümmer and du Preez 2006).

    The map is found by pooling adjacent violators at even odds. Equal scores stay together.
    """
    target, nontarget = np.diff(points.p_miss), -np.diff(points.p_fa)
    posterior = isotonic_regression(target / (target + nontarget), weights=target + nontarget).x
    # A posterior of 0 or 1 belongs to a pool with one kind of trial, so no logarithm of 0 is needed.
    bits = target @ np.log2(np.where(target > 0, posterior, 1)) + nontarget @ np.log2(
        np.where(nontarget > 0, 1 - posterior, 1)
    )
    return float(-bits / 2)
