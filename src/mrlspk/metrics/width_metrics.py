"""The metrics of scored trials at each prefix width: one type for evaluation, validation, model cards and logs.

To add a metric, write its function in a module beside this one, then add a field to `WidthMetrics` and its value to
`measure_widths`. JSON documents, CSV files and tables show it under the name of the field.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.cllr import cllr, min_cllr_at
from mrlspk.metrics.dcf import act_dcf, cost_weights, min_dcf_at, min_dcf_threshold_at
from mrlspk.metrics.det import OperatingPoints, operating_points, threshold_at_far
from mrlspk.metrics.eer import accuracy_at, eer_at, eer_threshold_at
from mrlspk.metrics.significance import BootstrapResamples, Interval, rate_interval


@dataclass(frozen=True)
class DetectionCost:
    """The normalised detection cost at one prior, with costs of 1 and 1.

    Attributes:
        p_target: The prior.
        min_dcf: At the best threshold.
        min_dcf_ci: Its 95 % interval over speakers.
        threshold: The best threshold; None if rejecting every trial costs least.
        act_dcf: At the Bayes threshold of calibrated scores.
    """

    p_target: float
    min_dcf: float
    min_dcf_ci: Interval | None = None
    threshold: float | None = None
    act_dcf: float | None = None


@dataclass(frozen=True)
class FalseAccepts:
    """The lowest threshold that accepts at most a share ``p_fa`` of non-target trials, and its misses.

    The threshold is None if only rejecting every trial stays below that share.
    """

    p_fa: float
    threshold: float | None
    p_miss: float


@dataclass(frozen=True)
class WidthMetrics:
    """The metrics of one prefix width; a metric that was not computed is None.

    Attributes:
        dim: The width.
        eer: Equal error rate, in [0, 1].
        eer_ci: Its 95 % interval over speakers.
        threshold: Trials with this score or a higher one are accepted at the equal error rate.
        accuracy: Share of all trials that this threshold decides correctly.
        dcf: Detection costs, in the order of the priors.
        cllr: Cost of the calibrated log-likelihood ratios, in bits.
        min_cllr: The same after the best calibration that keeps the order of the scores.
        calibrated_threshold: Score at the Bayes threshold of the first prior, if calibration uses the score alone.
        false_accepts: Thresholds at given false-accept rates.
    """

    dim: int
    eer: float
    eer_ci: Interval | None = None
    threshold: float | None = None
    accuracy: float | None = None
    dcf: tuple[DetectionCost, ...] = ()
    cllr: float | None = None
    min_cllr: float | None = None
    calibrated_threshold: float | None = None
    false_accepts: tuple[FalseAccepts, ...] = ()

    @property
    def min_dcf(self) -> float:
        """Minimum detection cost at the first prior.

        Raises:
            IndexError: If it was measured at no prior.
        """
        return self.dcf[0].min_dcf


def measure_widths(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    dims: Sequence[int],
    *,
    p_targets: Sequence[float] = (),
    false_accept_rates: Sequence[float] = (),
    resamples: BootstrapResamples | None = None,
    llrs: NDArray[np.floating] | None = None,
    calibrated_thresholds: Sequence[float | None] | None = None,
    brief: bool = False,
) -> tuple[WidthMetrics, ...]:
    """Return the metrics of each width.

    Args:
        scores: (trials, len(dims)).
        is_target: (trials,).
        dims: Width of each column.
        p_targets: Priors of the detection cost.
        false_accept_rates: Rates to give thresholds for.
        resamples: Of the same columns and priors, for intervals; None for no intervals.
        llrs: (trials, len(dims)), calibrated natural-log likelihood ratios; None without calibration.
        calibrated_thresholds: By width; None without calibration.
        brief: Leave out minCllr, which takes as long as the other metrics together.

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, one kind of trial is absent, or a prior or rate
            is out of range.
    """
    measured = []
    for column, dim in enumerate(dims):
        points = operating_points(scores[:, column], is_target)
        eer, ratios = eer_at(points), None if llrs is None else llrs[:, column]
        own = resamples and resamples.at(slice(column, column + 1))
        measured.append(
            WidthMetrics(
                dim=dim,
                eer=eer,
                eer_ci=rate_interval(own.eer[:, 0], eer, n_speakers=own.n_speakers) if own else None,
                threshold=eer_threshold_at(points),
                accuracy=accuracy_at(points, n_target=int(is_target.sum()), n_nontarget=int((~is_target).sum())),
                dcf=_detection_costs(points, is_target, p_targets, own, ratios),
                cllr=None if ratios is None else cllr(ratios, is_target),
                min_cllr=None if brief else min_cllr_at(points),
                calibrated_threshold=calibrated_thresholds[column] if calibrated_thresholds else None,
                false_accepts=tuple(_false_accepts(points, rate) for rate in false_accept_rates),
            )
        )
    return tuple(measured)


def _detection_costs(
    points: OperatingPoints,
    is_target: NDArray[np.bool_],
    p_targets: Sequence[float],
    resamples: BootstrapResamples | None,
    llrs: NDArray[np.floating] | None,
) -> tuple[DetectionCost, ...]:
    costs = []
    for index, p_target in enumerate(p_targets):
        least, interval = min_dcf_at(points, p_target=p_target), None
        if resamples:
            interval = rate_interval(
                resamples.min_dcf[:, 0, index],
                least,
                n_speakers=resamples.n_speakers,
                weight=sum(cost_weights(p_target)),
            )
        costs.append(
            DetectionCost(
                p_target=p_target,
                min_dcf=least,
                min_dcf_ci=interval,
                threshold=_finite(min_dcf_threshold_at(points, p_target=p_target)),
                act_dcf=None if llrs is None else act_dcf(llrs, is_target, p_target=p_target),
            )
        )
    return tuple(costs)


def _false_accepts(points: OperatingPoints, rate: float) -> FalseAccepts:
    threshold, _, p_miss = threshold_at_far(points, rate)
    return FalseAccepts(rate, _finite(threshold), p_miss)


def _finite(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None
