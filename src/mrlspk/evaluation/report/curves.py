"""Compute the curves of a report from scores: arrays in, plain lists out."""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from mrlspk.metrics.det import OperatingPoints, operating_points, split_scores

DET_POINTS = 300
HISTOGRAM_BINS = 50
LOG_ODDS = np.linspace(-7, 7, 57)  # of the prior: 0.001 to 0.999 in quarters


def score_curves(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    dims: Sequence[int],
    *,
    llrs: NDArray[np.floating] | None = None,
) -> dict[str, Any]:
    """Return the ``curves`` of one trial list: DET, histograms, and calibration if there are ratios.

    Args:
        scores: (trials, len(dims)).
        is_target: (trials,).
        dims: Width of each column.
        llrs: (trials, len(dims)), natural-log likelihood ratios; None if the scores are not calibrated.

    Raises:
        MetricError: If a score is not finite, or one kind of trial is absent.
    """
    det = []
    for column, dim in enumerate(dims):
        p_fa, p_miss = det_curve(operating_points(scores[:, column], is_target))
        det.append({"dim": dim, "p_fa": p_fa, "p_miss": p_miss})
    calibration = None
    if llrs is not None:
        calibration = [{"dim": dim, **bayes_error_curve(llrs[:, i], is_target)} for i, dim in enumerate(dims)]
    histograms = [{"dim": dim, **score_histogram(scores[:, i], is_target)} for i, dim in enumerate(dims)]
    return {"det": det, "histograms": histograms, "calibration": calibration}


def det_curve(points: OperatingPoints, *, n_points: int = DET_POINTS) -> tuple[list[float], list[float]]:
    """Return (p_fa, p_miss) of at most ``n_points`` operating points that draw the DET curve (Martin et al. 1997).

    No point is interpolated. If there are more corners, those stay where the curve on normal-deviate axes bends most
    (Douglas and Peucker 1973).
    """
    corners = np.flatnonzero(_is_corner(points.p_fa, points.p_miss))
    p_fa, p_miss = points.p_fa[corners], points.p_miss[corners]
    kept = _farthest_points(_deviates(p_fa), _deviates(p_miss), n_points)
    return p_fa[kept].tolist(), p_miss[kept].tolist()


def score_histogram(
    scores: NDArray[np.floating], is_target: NDArray[np.bool_], *, n_bins: int = HISTOGRAM_BINS
) -> dict[str, list[float] | list[int]]:
    """Return ``edges`` (n_bins + 1) over all scores, and how many of each kind lie in each bin."""
    edges = np.histogram_bin_edges(scores, bins=n_bins)
    target, nontarget = (np.histogram(scores[kind], bins=edges)[0].tolist() for kind in (is_target, ~is_target))
    return {"edges": edges.tolist(), "target": target, "nontarget": nontarget}


def bayes_error_curve(llrs: NDArray[np.floating], is_target: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Return the normalised Bayes error against the prior's log odds (Brümmer and de Villiers 2011, arXiv:1304.2865).

    ``act_dcf`` is the cost at the Bayes threshold of the prior, ``min_dcf`` that at the best one. Both are for costs of
    1 and divided by the cost of deciding without scores; their gap is the calibration loss. Arrays are (trials,).

    Raises:
        MetricError: If a ratio is not finite, or one kind of trial is absent.
    """
    target, nontarget = split_scores(llrs, is_target)
    target.sort()
    nontarget.sort()
    p_miss, p_fa = _best_rates(target, nontarget)
    prior = expit(LOG_ODDS)
    least = np.minimum(prior, 1 - prior)
    weight_miss, weight_fa = prior / least, (1 - prior) / least
    misses = np.searchsorted(target, -LOG_ODDS) / target.size
    accepts = 1 - np.searchsorted(nontarget, -LOG_ODDS) / nontarget.size
    return {
        "log_odds": LOG_ODDS.tolist(),
        "act_dcf": (weight_miss * misses + weight_fa * accepts).tolist(),
        "min_dcf": (np.outer(weight_miss, p_miss) + np.outer(weight_fa, p_fa)).min(axis=1).tolist(),
    }


def _best_rates(
    target: NDArray[np.float64], nontarget: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the misses and false accepts of the thresholds that can minimise a cost; both kinds of score rise.

    Of two target scores without a non-target score between them only the lower counts, because it misses fewer.
    """
    accepted = nontarget.size - np.append(np.searchsorted(nontarget, target), nontarget.size)
    first = np.append(True, np.diff(accepted) != 0)
    p_miss = np.flatnonzero(first) / target.size
    return p_miss, accepted[first] / nontarget.size


def _is_corner(p_fa: NDArray[np.float64], p_miss: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the points where the staircase turns, and its ends; the others lie on straight steps."""
    along_fa, along_miss = np.diff(p_fa) != 0, np.diff(p_miss) != 0
    corner = np.ones(p_fa.size, dtype=bool)
    corner[1:-1] = (along_fa[:-1] | along_fa[1:]) & (along_miss[:-1] | along_miss[1:])
    return corner


def _deviates(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return normal deviates; 0 and 1 are placed half the smallest step beyond their neighbours."""
    inner = rates[(rates > 0) & (rates < 1)]
    margin = min(inner.min(), 1 - inner.max()) / 2 if inner.size else 0.25
    deviates: NDArray[np.float64] = ndtri(np.clip(rates, margin, 1 - margin))
    return deviates


def _farthest_points(x: NDArray[np.float64], y: NDArray[np.float64], n_points: int) -> NDArray[np.intp]:
    """Return the indices, rising, of the ends and of the points farthest from the line so far."""
    if x.size <= n_points:
        return np.arange(x.size)
    kept = [0, x.size - 1]
    waiting: list[tuple[float, int, int, int]] = []

    def offer(start: int, end: int) -> None:
        if end - start < 2:
            return
        inside = slice(start + 1, end)
        run, rise = x[end] - x[start], y[end] - y[start]
        across = np.abs(run * (y[inside] - y[start]) - rise * (x[inside] - x[start])) / max(np.hypot(run, rise), 1e-300)
        farthest = int(across.argmax())
        heappush(waiting, (-float(across[farthest]), start + 1 + farthest, start, end))

    offer(0, x.size - 1)
    while waiting and len(kept) < n_points:
        _, index, start, end = heappop(waiting)
        kept.append(index)
        offer(start, index)
        offer(index, end)
    return np.array(sorted(kept))
