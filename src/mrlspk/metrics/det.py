"""Operating points: the misses and false alarms at every threshold, computed once for all metrics."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Error rates by rising threshold, from accepting every trial to accepting none.

    A trial is accepted where its score is at or above the threshold. Points lie only between distinct scores, so that
    the order of equal scores does not matter.

    Attributes:
        thresholds: (points,), rising: midway between neighbouring distinct scores; the first is the lowest score,
            the last is infinite.
        p_miss: (points,), share of target trials rejected, from 0 to 1.
        p_fa: (points,), share of non-target trials accepted, from 1 to 0.
    """

    thresholds: NDArray[np.float64]
    p_miss: NDArray[np.float64]
    p_fa: NDArray[np.float64]


def operating_points(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> OperatingPoints:
    """Return every operating point of the scores; both arrays are (trials,).

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    target, nontarget = split_scores(scores, is_target)
    target.sort()
    nontarget.sort()
    distinct = np.unique(np.concatenate([target, nontarget]))
    p_miss = np.append(np.searchsorted(target, distinct), target.size) / target.size
    accepted = nontarget.size - np.append(np.searchsorted(nontarget, distinct), nontarget.size)
    midway = distinct[:-1] + np.diff(distinct) / 2
    above = np.where(midway > distinct[:-1], midway, distinct[1:])  # no number lies between two neighbouring floats
    thresholds = np.concatenate([distinct[:1], above, [np.inf]])
    return OperatingPoints(thresholds, p_miss, accepted / nontarget.size)


class ThresholdAtFar(NamedTuple):
    """A threshold with its share of non-target trials accepted and of target trials rejected."""

    threshold: float
    p_fa: float
    p_miss: float


def threshold_at_far(points: OperatingPoints, far: float) -> ThresholdAtFar:
    """Return the lowest threshold that accepts at most the share ``far`` of the non-target trials.

    It is infinite, and p_miss 1, where only accepting no trial keeps to that.

    Raises:
        MetricError: If ``far`` lies outside [0, 1].
    """
    if not 0 <= far <= 1:
        raise MetricError(f"a false-accept rate lies in [0, 1], got {far}")
    point = int(np.argmax(points.p_fa <= far))
    return ThresholdAtFar(*(float(of[point]) for of in (points.thresholds, points.p_fa, points.p_miss)))


def split_scores(
    scores: NDArray[np.floating], is_target: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the target and the non-target scores, each (its trials,), as new float64 arrays.

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    if scores.ndim != 1 or scores.shape != is_target.shape:
        raise MetricError(f"expected one score a trial, got scores {scores.shape} for trials {is_target.shape}")
    if not np.isfinite(scores).all():
        raise MetricError(f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores are not finite")
    target, nontarget = scores[is_target].astype(np.float64), scores[~is_target].astype(np.float64)
    if not (target.size and nontarget.size):
        raise MetricError(
            f"expected both kinds of trial, got {target.size} target and {nontarget.size} non-target",
            fix="Give a trial list that holds target and non-target trials.",
        )
    return target, nontarget
