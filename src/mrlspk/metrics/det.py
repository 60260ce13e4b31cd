"""Operating points of a detection error trade-off (DET): misses and false alarms at every threshold."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Error rates by rising threshold, from accepting every trial to accepting none.

    A trial is accepted if its score is at or above the threshold. Points lie only between distinct scores, so that the
    order of equal scores does not matter.

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

    It is infinite, and p_miss is 1, if only accepting no trial stays within that share.

    Raises:
        MetricError: If ``far`` lies outside [0, 1].
    """
    if not 0 <= far <= 1:
        raise MetricError(f"expected a false-accept rate in [0, 1], got {far}", parameter="far")
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


@dataclass(frozen=True, eq=False)
class DetCorners:
    """The order of trials by score and the corners of their DET curve, for any weights of the trials.

    Attributes:
        target: (target trials,), target trials by rising score.
        nontarget: (non-target trials,), non-target trials by rising score.
        n_target: (corners,), target trials below each corner.
        n_nontarget: (corners,), non-target trials below each corner.
    """

    target: NDArray[np.intp]
    nontarget: NDArray[np.intp]
    n_target: NDArray[np.intp]
    n_nontarget: NDArray[np.intp]

    def rates(
        self, target_weights: NDArray[np.float64], nontarget_weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return misses and false alarms at the corners, each (weightings, corners).

        Args:
            target_weights: (weightings, target trials), not all zero.
            nontarget_weights: (weightings, non-target trials), not all zero.
        """
        missed = _sums_below(target_weights.take(self.target, axis=1), self.n_target)
        rejected = _sums_below(nontarget_weights.take(self.nontarget, axis=1), self.n_nontarget)
        return missed / missed[:, -1:], 1 - rejected / rejected[:, -1:]


def det_corners(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> DetCorners:
    """Return the corners of the DET curve, from accepting every trial to accepting none; both arrays are (trials,).

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, or one kind of trial is absent.
    """
    target, nontarget = split_scores(scores, is_target)
    orders = np.argsort(target), np.argsort(nontarget)
    target, nontarget = target[orders[0]], nontarget[orders[1]]
    thresholds = np.append(np.unique(np.concatenate([target, nontarget])), np.inf)
    n_target, n_nontarget = np.searchsorted(target, thresholds), np.searchsorted(nontarget, thresholds)
    # Within a run of scores of one kind the curve is straight for any weights; a tie of both kinds is its own segment.
    kind = 2 * (np.diff(n_target) > 0) + (np.diff(n_nontarget) > 0)
    corner = np.concatenate([[True], (kind[1:] != kind[:-1]) | (kind[1:] == 3), [True]])
    return DetCorners(*orders, n_target[corner], n_nontarget[corner])


def equal_error_rates(p_miss: NDArray[np.float64], p_fa: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the equal error rate of each curve (weightings, corners), (weightings,), as `eer_at` does."""
    above = p_miss - p_fa
    rows, right = np.arange(len(above)), np.count_nonzero(above < 0, axis=1)
    left = right - 1
    share = above[rows, left] / (above[rows, left] - above[rows, right])
    rates: NDArray[np.float64] = p_miss[rows, left] + share * (p_miss[rows, right] - p_miss[rows, left])
    return rates


def _sums_below(weights: NDArray[np.float64], n_below: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of the first ``n_below`` weights of each row, (rows, corners)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums.take(n_below, axis=1)
