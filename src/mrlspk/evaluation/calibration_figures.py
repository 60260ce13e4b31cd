"""Measure a calibration on the trials that it was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.calibration import Calibration
from mrlspk.evaluation.calibration_fit import fit_widths
from mrlspk.evaluation.calibration_parts import WidthCalibration
from mrlspk.evaluation.calibration_scores import FittingScores
from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths


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
        by_score = [each.scale * column + each.offset for each, column in zip(plain, fitting.scores.T, strict=True)]
    p_targets = [each.p_target for each in calibration.widths[0].priors]
    metrics = measure_widths(llrs, fitting.is_target, calibration.dims, p_targets=p_targets, llrs=llrs)
    return tuple(
        WidthFit(width, measured, None if ratios is None else cllr(ratios, fitting.is_target))
        for width, measured, ratios in zip(calibration.widths, metrics, by_score, strict=True)
    )
