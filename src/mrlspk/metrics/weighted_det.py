"""DET curves of one set of scores under many weightings of its trials, as resampling needs them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.det import split_scores


@dataclass(frozen=True, eq=False)
class DetCorners:
    """The order of trials by score, and the corners of their DET curve, between which it is straight.

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
    # Within a run of scores of one kind the curve is straight, whatever the weights; a tie of both kinds stands alone.
    kind = 2 * (np.diff(n_target) > 0) + (np.diff(n_nontarget) > 0)
    corner = np.concatenate([[True], (kind[1:] != kind[:-1]) | (kind[1:] == 3), [True]])
    return DetCorners(*orders, n_target[corner], n_nontarget[corner])


def equal_error_rates(p_miss: NDArray[np.float64], p_fa: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where each of the curves (weightings, corners) crosses p_miss = p_fa, (weightings,), as `eer_at` does."""
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
