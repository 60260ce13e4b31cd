"""Compute the curves of a report from scores: arrays in, plain lists out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from mrlspk.metrics.dcf import act_dcf, min_dcf_at
from mrlspk.metrics.det import OperatingPoints, operating_points

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
    columns = list(zip(dims, scores.T, strict=True))
    det = [{"dim": dim, **det_curve(operating_points(column, is_target))} for dim, column in columns]
    histograms = [{"dim": dim, **score_histogram(column, is_target)} for dim, column in columns]
    calibration = None
    if llrs is not None:
        ratios = zip(dims, llrs.T, strict=True)
        calibration = [{"dim": dim, **bayes_error_curve(column, is_target)} for dim, column in ratios]
    return {"det": det, "histograms": histograms, "calibration": calibration}


def det_curve(points: OperatingPoints, *, n_points: int = DET_POINTS) -> dict[str, list[float]]:
    """Return ``p_fa`` and ``p_miss`` of at most ``n_points`` points that draw the DET curve (Martin et al. 1997).

    No point is interpolated. If there are more corners, those stay that are evenly spaced along the curve on
    normal-deviate axes, and both ends of long steps.
    """
    corners = np.flatnonzero(_is_corner(points.p_fa, points.p_miss))
    if len(corners) > n_points:
        length = _deviates(points.p_miss[corners]) - _deviates(points.p_fa[corners])  # along both axes; it rises
        after = np.searchsorted(length, np.linspace(length[0], length[-1], n_points // 2))
        corners = corners[np.union1d(after, np.maximum(after - 1, 0))]
    return {"p_fa": points.p_fa[corners].tolist(), "p_miss": points.p_miss[corners].tolist()}


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
    points = operating_points(llrs, is_target)
    priors = expit(LOG_ODDS)
    return {
        "log_odds": LOG_ODDS.tolist(),
        "act_dcf": [act_dcf(llrs, is_target, p_target=prior) for prior in priors],
        "min_dcf": [min_dcf_at(points, p_target=prior) for prior in priors],
    }


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
