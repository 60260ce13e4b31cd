"""Fit a calibration by logistic regression on scored trials, and measure it on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, MetricError
from mrlspk.evaluation.calibration import MAX_SCALE, MIN_SCALE, Calibration, WidthCalibration
from mrlspk.evaluation.embedder import EmbeddingSource
from mrlspk.evaluation.score_lists import ScoredList, score_model
from mrlspk.evaluation.score_norm import NormRequest
from mrlspk.evaluation.thresholds import FalseAcceptThreshold, PriorThreshold, bayes_threshold
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.det import operating_points, threshold_at_far
from mrlspk.metrics.logistic import RIDGE, fit_logistic
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths

type Crops = tuple[float | None, ...]


@dataclass(frozen=True, eq=False)
class FittingScores:
    """Scored trials of one or more lists, concatenated.

    Attributes:
        scores: (trials, widths).
        is_target: (trials,).
        shorter_seconds: (trials,), duration of the shorter side; an enrolment of several recordings counts their sum.
        n_left_out: Trials with a side too short for a crop.
    """

    scores: NDArray[np.float64]
    is_target: NDArray[np.bool_]
    shorter_seconds: NDArray[np.float64]
    n_left_out: int


@dataclass(frozen=True)
class WidthFit:
    """The calibration of one width, measured on the trials that it was fitted on.

    Attributes:
        width: The calibration.
        metrics: Of its log-likelihood ratios.
        cllr_by_score: Cost of ratios that depend on the score alone; None if there are no others.
    """

    width: WidthCalibration
    metrics: WidthMetrics
    cllr_by_score: float | None


def score_for_fit(
    embedder: EmbeddingSource,
    lists: Sequence[TrialList],
    dims: tuple[int, ...],
    *,
    crops: Crops = (None,),
    norm: NormRequest | None = None,
) -> FittingScores:
    """Return the scores of every list, once for each crop.

    Args:
        embedder: The model.
        lists: Trials with their audio.
        dims: Prefix widths, rising.
        crops: Seconds that the middle of the test side is cropped to; None among them is the whole recording.
        norm: Score normalisation; None for plain cosines.

    Raises:
        DataError: If an utterance cannot be embedded, the cohort cannot be used, or a crop leaves one kind of trial.
    """
    cuts = tuple(seconds for seconds in crops if seconds is not None)
    scored = score_model(embedder, lists, dims, crops=cuts, norm=norm)
    parts = [_part(each, seconds) for each in scored for seconds in crops]
    return FittingScores(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.is_target for part in parts]),
        np.concatenate([part.shorter_seconds for part in parts]),
        sum(part.n_left_out for part in parts),
    )


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
        shorter_seconds: (trials,), for ratios that depend on duration; None for ratios of the score alone.
        fit_p_target: Prior at which the regression weights the two kinds of trial; the ratios are best near it.
        p_targets: Priors to compute thresholds for.
        false_accept_rates: Rates to measure thresholds for.

    Raises:
        MetricError: If the trials are all of one kind, target trials do not score higher, all scores are nearly equal,
            or a false-accept rate cannot be measured on them.
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
    """Return the rates that correspond to at least one of ``n_nontarget`` trials."""
    return tuple(rate for rate in false_accept_rates if rate * n_nontarget >= 1)


def measure_fit(calibration: Calibration, fitting: FittingScores) -> tuple[WidthFit, ...]:
    """Return each width with its metrics on the trials that it was fitted on."""
    llrs = calibration.llrs(fitting.scores, calibration.dims, fitting.shorter_seconds)
    by_score: Sequence[NDArray[np.float64] | None] = [None] * len(calibration.dims)
    if calibration.quality is not None:
        plain = fit_widths(
            calibration.dims,
            fitting.scores,
            fitting.is_target,
            fit_p_target=calibration.fit_p_target,
            p_targets=(),
            false_accept_rates=(),
        )
        by_score = [
            np.clip(each.scale * column + each.offset, *calibration.llr_bounds)
            for each, column in zip(plain, fitting.scores.T, strict=True)
        ]
    p_targets = [each.p_target for each in calibration.widths[0].priors]
    metrics = measure_widths(llrs, fitting.is_target, calibration.dims, p_targets=p_targets, llrs=llrs)
    return tuple(
        WidthFit(width, measured, None if ratios is None else cllr(ratios, fitting.is_target))
        for width, measured, ratios in zip(calibration.widths, metrics, by_score, strict=True)
    )


def _part(each: ScoredList, seconds: float | None) -> FittingScores:
    """Return the trials of one list at one duration; None is the whole recording."""
    if seconds is None:
        return FittingScores(each.scored.scores, each.scored.is_target, each.shorter_seconds, 0)
    cut = each.cropped[seconds]
    if cut.scored is None or not cut.scored.both_kinds:
        target = each.scored.is_target[cut.kept]
        raise DataError(
            f"{np.count_nonzero(target)} target and {np.count_nonzero(~target)} non-target trials have both sides "
            f"of {seconds:g} s or more",
            each.trial_list.trials.path,
            "Leave this duration out of `durations`.",
        )
    shorter = np.minimum(each.shorter_seconds[cut.kept], seconds)
    return FittingScores(cut.scored.scores, cut.scored.is_target, shorter, cut.n_left_out)


def _fit_width(
    dim: int,
    scores: NDArray[np.float64],
    is_target: NDArray[np.bool_],
    log_seconds: NDArray[np.float64] | None,
    fit_p_target: float,
) -> WidthCalibration:
    """Return the calibration of one width, without thresholds."""
    features = scores[:, None] if log_seconds is None else np.stack([scores, log_seconds], axis=1)
    ridge = RIDGE * fit_p_target * (1 - fit_p_target)  # at a small prior the whole cost is small, so the ridge is too
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
    found = "no higher than those of non-target trials" if scale < MIN_SCALE else "nearly all equal"
    raise MetricError(
        f"at width {dim} the scores of target trials are {found}",
        fix="Check the trial list and the model; `dims` can leave this width out.",
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
    """Measure on scores if they alone decide, otherwise on the ratios."""
    decisive = scores if log_seconds is None else width.scale * scores + width.bias(log_seconds)
    threshold, p_fa, p_miss = threshold_at_far(operating_points(decisive, is_target), rate)
    if not np.isfinite(threshold):
        raise MetricError(
            f"at width {width.dim} no threshold has a false-accept rate of at most {rate:g}",
            fix=f"There are {np.count_nonzero(~is_target)} non-target trials; give more, or a higher rate.",
            parameter="far",
        )
    by_score = log_seconds is None
    return FalseAcceptThreshold(
        far=rate,
        llr=float(width.scale * threshold + width.offset if by_score else threshold),
        score=float(threshold) if by_score else None,
        p_fa=float(p_fa),
        p_miss=float(p_miss),
    )
