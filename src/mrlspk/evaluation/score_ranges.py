"""Measure the ranges of same-speaker and different-speaker scores at each width."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError
from mrlspk.models.score_ranges import ScoreQuantiles, ScoreRanges

LEVELS = 0.05, 0.5, 0.95


def measure_score_ranges(
    scores: NDArray[np.floating], is_target: NDArray[np.bool_], dims: Sequence[int]
) -> tuple[ScoreRanges, ...]:
    """Return the 5, 50 and 95 % quantiles of the scores of target and non-target trials, by width.

    Args:
        scores: (trials, len(dims)).
        is_target: (trials,).
        dims: Width of each column.

    Raises:
        MetricError: If one kind of trial is absent.
    """
    if not 0 < (n_target := np.count_nonzero(is_target)) < is_target.size:
        found = f"{n_target} target and {is_target.size - n_target} non-target"
        raise MetricError(f"score ranges need both kinds of trial, got {found}")
    return tuple(
        ScoreRanges(dim=dim, same=_quantiles(column[is_target]), different=_quantiles(column[~is_target]))
        for dim, column in zip(dims, scores.T, strict=True)
    )


def _quantiles(scores: NDArray[np.floating]) -> ScoreQuantiles:
    low, median, high = np.quantile(scores, LEVELS).tolist()
    return ScoreQuantiles(n=scores.size, p05=low, p50=median, p95=high)
