"""A calibration fitted to scored trials, by logistic regression at every width."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError
from mrlspk.evaluation.calibration_parts import (
    MAX_SCALE,
    MIN_SCALE,
    FalseAcceptThreshold,
    PriorThreshold,
    WidthCalibration,
    bayes_threshold,
)
from mrlspk.metrics.det import operating_points, threshold_at_far
from mrlspk.metrics.logistic import RIDGE, fit_logistic


def fit_widths(
    dims: Sequence[int],
    scores: NDArray[np.float64],
    is_target: NDArray[np.bool_],
    *,
    shorter_seconds: NDArray[np.float64] | None = None,
    fit_p_target: float,
    p_targets: Sequence[float],
    false_accept_rates: Sequence[float],
) -> tuple[WidthCalibration, ...]:
    """Return the calibration of each width.

    Args:
        dims: Widths, rising.
        scores: (trials, len(dims)).
        is_target: (trials,)
        shorter_seconds: (trials,), for ratios that depend on it; None for ratios that depend on the score alone.
        fit_p_target: Prior at which the regression weighs the two kinds of trial: the ratios are best near it.
        p_targets: Priors to give thresholds at.
        false_accept_rates: Rates to measure thresholds at.

    Raises:
        MetricError: If the trials are all of one kind, higher scores do not speak for one speaker, the scores are next
            to all the same, or a false-accept rate cannot be measured on them.
    """
    log_seconds = None if shorter_seconds is None else np.log(shorter_seconds)
    widths = []
    for dim, column in zip(dims, scores.T, strict=True):
        line = _fit_width(dim, column, is_target, log_seconds, fit_p_target)
        thresholds = {
            "priors": tuple(_prior(line, p_target) for p_target in p_targets),
            "false_accepts": tuple(
                _false_accepts(line, rate, column, is_target, log_seconds) for rate in false_accept_rates
            ),
        }
        widths.append(line.model_copy(update=thresholds))
    return tuple(widths)


def measurable(false_accept_rates: Sequence[float], n_nontarget: int) -> tuple[float, ...]:
    """Return the rates that at least one of so many non-target trials makes up."""
    return tuple(rate for rate in false_accept_rates if rate * n_nontarget >= 1)


def _fit_width(
    dim: int,
    scores: NDArray[np.float64],
    is_target: NDArray[np.bool_],
    log_seconds: NDArray[np.float64] | None,
    fit_p_target: float,
) -> WidthCalibration:
    """Return the line of one width, without thresholds."""
    features = scores[:, None] if log_seconds is None else np.stack([scores, log_seconds], axis=1)
    ridge = RIDGE * fit_p_target * (1 - fit_p_target)  # at a small prior the whole cost is small: the ridge with it
    model = fit_logistic(features, is_target, p_target=fit_p_target, ridge=ridge)
    _check_scale(float(model.weights[0]), dim)
    return WidthCalibration(
        dim=dim,
        scale=float(model.weights[0]),
        offset=float(model.offset),
        duration_weight=None if log_seconds is None else float(model.weights[1]),
        priors=(),
        false_accepts=(),
    )


def _check_scale(scale: float, dim: int) -> None:
    if MIN_SCALE <= scale <= MAX_SCALE:
        return
    found = "no higher than those of non-target trials" if scale < MIN_SCALE else "next to all the same"
    raise MetricError(
        f"at width {dim} the scores of target trials are {found}",
        fix="Check the trial list and the model; --dims leaves a width out.",
    )


def _prior(width: WidthCalibration, p_target: float) -> PriorThreshold:
    llr = bayes_threshold(p_target)
    score = (llr - width.offset) / width.scale if width.duration_weight is None else None
    return PriorThreshold(p_target=p_target, llr=llr, score=score)


def _false_accepts(
    width: WidthCalibration,
    rate: float,
    scores: NDArray[np.float64],
    is_target: NDArray[np.bool_],
    log_seconds: NDArray[np.float64] | None,
) -> FalseAcceptThreshold:
    """Measure on scores where they alone decide, else on the ratios."""
    decisive = scores if log_seconds is None else width.scale * scores + width.bias(log_seconds)
    threshold, p_fa, p_miss = threshold_at_far(operating_points(decisive, is_target), rate)
    if not np.isfinite(threshold):
        raise MetricError(
            f"at width {width.dim} only refusing every trial keeps to a false-accept rate of {rate:g}",
            "--far",
            f"There are {np.count_nonzero(~is_target)} non-target trials; give more, or a higher rate.",
        )
    by_score = log_seconds is None
    return FalseAcceptThreshold(
        far=rate,
        llr=float(width.scale * threshold + width.offset if by_score else threshold),
        score=float(threshold) if by_score else None,
        p_fa=float(p_fa),
        p_miss=float(p_miss),
    )
