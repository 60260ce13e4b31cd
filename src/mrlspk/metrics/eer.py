"""Compute the equal error rate, its threshold and accuracy, and its mean over widths."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError
from mrlspk.metrics.det import OperatingPoints, operating_points


def equal_error_rate(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return the rate, in [0, 1], at which misses and false alarms are equal; both arrays are (trials,).

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    return eer_at(operating_points(scores, is_target))


def eer_threshold(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return the threshold at which misses and false alarms are closest; both arrays are (trials,).

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    return eer_threshold_at(operating_points(scores, is_target))


def eer_at(points: OperatingPoints) -> float:
    """Return the equal error rate, with straight lines between operating points."""
    return float(np.interp(0.0, points.p_miss - points.p_fa, points.p_miss))


def eer_threshold_at(points: OperatingPoints) -> float:
    """Return the threshold of the operating point nearest to the equal error rate; always finite."""
    return float(points.thresholds[_nearest_point(points)])


def accuracy_at(points: OperatingPoints, *, n_target: int, n_nontarget: int) -> float:
    """Return the share of all trials, in [0, 1], that the threshold of the equal error rate decides correctly."""
    point = _nearest_point(points)
    wrong = n_target * points.p_miss[point] + n_nontarget * points.p_fa[point]
    return float(1 - wrong / (n_target + n_nontarget))


def mean_log_eer(eers: Sequence[float], *, n_target: int, n_nontarget: int) -> float:
    """Return the mean natural logarithm of equal error rates on the same trials, to select a checkpoint.

    A rate of zero counts as half an error among the trials of the more frequent kind, below any other rate.

    Raises:
        MetricError: If there is no rate, or one lies outside [0, 1].
    """
    if not eers or not all(0 <= eer <= 1 for eer in eers):
        raise MetricError(f"expected rates in [0, 1], got {list(eers)}")
    return float(np.log(np.maximum(eers, 0.5 / max(n_target, n_nontarget))).mean())


def _nearest_point(points: OperatingPoints) -> int:
    # The lower of two equally near thresholds; the infinite one is never nearer than the first.
    return int(np.argmin(np.abs(points.p_miss - points.p_fa)))
