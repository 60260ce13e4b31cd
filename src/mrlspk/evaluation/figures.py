"""The figures of scored trials, width by width."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.cllr import cllr, min_cllr_at
from mrlspk.metrics.dcf import act_dcf, min_dcf_at, min_dcf_threshold_at
from mrlspk.metrics.det import OperatingPoints, operating_points, threshold_at_far
from mrlspk.metrics.eer import accuracy_at, eer_at, eer_threshold_at

type Interval = tuple[float, float]


@dataclass(frozen=True)
class DcfResult:
    """The normalised detection cost at one prior, with costs of 1 and 1.

    Attributes:
        p_target: The prior.
        min_dcf: At the best threshold.
        min_dcf_ci: Its 95 % interval over speakers; None where there is none.
        threshold: The best threshold; None where refusing every trial costs least.
        act_dcf: At the threshold that the calibrated scores imply; None unless they are calibrated.
    """

    p_target: float
    min_dcf: float
    min_dcf_ci: Interval | None
    threshold: float | None
    act_dcf: float | None


@dataclass(frozen=True)
class FalseAccepts:
    """The lowest threshold that accepts no more than a share ``p_fa`` of non-target trials, and its misses.

    The threshold is None where only refusing every trial keeps to that.
    """

    p_fa: float
    threshold: float | None
    p_miss: float


@dataclass(frozen=True)
class WidthResult:
    """Figures of one prefix width.

    Attributes:
        dim: The width.
        eer: Equal error rate, in [0, 1].
        eer_ci: Its 95 % interval over speakers; None where there is none.
        threshold: Score at and above which a trial is accepted at the equal error rate.
        accuracy: Share of all trials that are decided rightly there.
        dcf: Detection costs, in the order in which the priors were given.
        cllr: Cost of the calibrated log-likelihood ratios, in bits; None unless they are calibrated.
        min_cllr: The same after the best calibration that keeps the order of the scores.
        calibrated_threshold: Score at the Bayes threshold of the first prior; None unless calibrated by score alone.
        false_accepts: Thresholds at given false-accept rates.
    """

    dim: int
    eer: float
    eer_ci: Interval | None
    threshold: float
    accuracy: float
    dcf: tuple[DcfResult, ...]
    cllr: float | None
    min_cllr: float
    calibrated_threshold: float | None
    false_accepts: tuple[FalseAccepts, ...]


@dataclass(frozen=True)
class WidthIntervals:
    """The 95 % intervals of one width; those of the detection cost in the order of the priors."""

    eer: Interval
    min_dcf: tuple[Interval, ...]


def measure(
    trials: ScoredTrials,
    *,
    p_targets: Sequence[float],
    false_accept_rates: Sequence[float],
    intervals: Sequence[WidthIntervals] | None = None,
    llrs: NDArray[np.float64] | None = None,
    calibrated_thresholds: Sequence[float | None] | None = None,
) -> tuple[WidthResult, ...]:
    """Return the figures of each width.

    Args:
        trials: Both kinds.
        p_targets: Priors of the detection cost.
        false_accept_rates: At which thresholds are wanted.
        intervals: By width; None where there are none.
        llrs: (trials, widths), calibrated natural-log likelihood ratios; None where there is no calibration.
        calibrated_thresholds: By width; None where there is no calibration.

    Raises:
        MetricError: If the trials are all of one kind, or a prior or rate is out of range.
    """
    return tuple(
        _measure_width(
            dim,
            operating_points(trials.scores[:, column], trials.is_target),
            trials,
            p_targets,
            false_accept_rates,
            interval=intervals[column] if intervals else None,
            llrs=llrs[:, column] if llrs is not None else None,
            calibrated_threshold=calibrated_thresholds[column] if calibrated_thresholds else None,
        )
        for column, dim in enumerate(trials.dims)
    )


def _measure_width(
    dim: int,
    points: OperatingPoints,
    trials: ScoredTrials,
    p_targets: Sequence[float],
    false_accept_rates: Sequence[float],
    *,
    interval: WidthIntervals | None,
    llrs: NDArray[np.float64] | None,
    calibrated_threshold: float | None,
) -> WidthResult:
    is_target = trials.is_target
    dcf = tuple(
        DcfResult(
            p_target,
            min_dcf_at(points, p_target=p_target),
            interval.min_dcf[index] if interval else None,
            _finite(min_dcf_threshold_at(points, p_target=p_target)),
            act_dcf(llrs, is_target, p_target=p_target) if llrs is not None else None,
        )
        for index, p_target in enumerate(p_targets)
    )
    return WidthResult(
        dim=dim,
        eer=eer_at(points),
        eer_ci=interval.eer if interval else None,
        threshold=eer_threshold_at(points),
        accuracy=accuracy_at(points, n_target=trials.n_target, n_nontarget=trials.n_nontarget),
        dcf=dcf,
        cllr=cllr(llrs, is_target) if llrs is not None else None,
        min_cllr=min_cllr_at(points),
        calibrated_threshold=calibrated_threshold,
        false_accepts=tuple(FalseAccepts(rate, *_at_far(points, rate)) for rate in false_accept_rates),
    )


def _at_far(points: OperatingPoints, rate: float) -> tuple[float | None, float]:
    threshold, _, p_miss = threshold_at_far(points, rate)
    return _finite(threshold), p_miss


def _finite(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None
