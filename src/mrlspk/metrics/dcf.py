"""Normalised detection cost: at the best threshold (minDCF) and at the Bayes threshold (actDCF)."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError
from mrlspk.metrics.det import OperatingPoints, operating_points, split_scores


def min_dcf(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    *,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Return the minimum normalised detection cost over all thresholds, in [0, 1]; both arrays are (trials,).

    Normalised: divided by the cost of the better of accepting every trial and accepting none.

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, one kind of trial is absent, or a prior or cost
            is out of range.
    """
    return min_dcf_at(operating_points(scores, is_target), p_target=p_target, c_miss=c_miss, c_fa=c_fa)


def min_dcf_at(points: OperatingPoints, *, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Return the minimum normalised detection cost over the operating points, in [0, 1].

    Raises:
        MetricError: If a prior or cost is out of range.
    """
    return float(np.min(_costs(points, p_target, c_miss, c_fa)))


def min_dcf_threshold_at(points: OperatingPoints, *, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Return the lowest threshold of the minimum detection cost; infinite if accepting no trial costs least.

    Raises:
        MetricError: If a prior or cost is out of range.
    """
    return float(points.thresholds[np.argmin(_costs(points, p_target, c_miss, c_fa))])


def act_dcf(
    llrs: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    *,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Return the normalised detection cost at the Bayes threshold; both arrays are (trials,).

    Args:
        llrs: Natural-log likelihood ratios; the cost of any other score is meaningless.
        is_target: Which trials are target trials.
        p_target: Prior of a target trial.
        c_miss: Cost of a miss.
        c_fa: Cost of a false alarm.

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, one kind of trial is absent, or a prior or cost
            is out of range.
    """
    weight_miss, weight_fa = cost_weights(p_target, c_miss, c_fa)
    target, nontarget = split_scores(llrs, is_target)
    threshold = np.log(weight_fa / weight_miss)
    return float(weight_miss * np.mean(target < threshold) + weight_fa * np.mean(nontarget >= threshold))


def _costs(points: OperatingPoints, p_target: float, c_miss: float, c_fa: float) -> NDArray[np.float64]:
    """Return the normalised detection cost of every operating point."""
    weight_miss, weight_fa = cost_weights(p_target, c_miss, c_fa)
    return weight_miss * points.p_miss + weight_fa * points.p_fa


def cost_weights(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> tuple[float, float]:
    """Return the cost of a miss rate of 1 and of a false-alarm rate of 1, the smaller scaled to 1.

    Raises:
        MetricError: If a prior or cost is out of range.
    """
    if not 0 < p_target < 1:
        raise MetricError(f"expected a prior between 0 and 1, got {p_target}", parameter="p_target")
    if not (c_miss > 0 and c_fa > 0):
        raise MetricError(f"expected positive costs, got c_miss {c_miss} and c_fa {c_fa}")
    miss, false_alarm = c_miss * p_target, c_fa * (1 - p_target)
    return miss / min(miss, false_alarm), false_alarm / min(miss, false_alarm)
