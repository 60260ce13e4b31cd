"""What a calibration reaches on the trials that it was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.calibration import Calibration
from mrlspk.evaluation.calibration_fit import fit_widths
from mrlspk.evaluation.calibration_parts import WidthCalibration
from mrlspk.evaluation.calibration_scores import FittingScores
from mrlspk.metrics.cllr import cllr, min_cllr
from mrlspk.metrics.dcf import act_dcf, min_dcf


@dataclass(frozen=True)
class FittedCost:
    """Normalised detection cost at one prior: at the best threshold and at the calibrated one."""

    p_target: float
    min_dcf: float
    act_dcf: float


@dataclass(frozen=True)
class WidthFit:
    """What the calibration of one width reaches on the trials that it was fitted on.

    Attributes:
        width: The calibration.
        cllr: Cost of its ratios, in bits.
        min_cllr: The same after the best calibration that keeps their order.
        cllr_by_score: Cost of ratios that depend on the score alone; None where no others were fitted.
        dcf: Detection costs, in the order of the priors.
    """

    width: WidthCalibration
    cllr: float
    min_cllr: float
    cllr_by_score: float | None
    dcf: tuple[FittedCost, ...]


def measure_fit(calibration: Calibration, fitting: FittingScores) -> tuple[WidthFit, ...]:
    """Return what the calibration of each width reaches on the trials that it was fitted on."""
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
    return tuple(
        _measure_width(width, ratios, alone, fitting.is_target)
        for width, ratios, alone in zip(calibration.widths, llrs.T, by_score, strict=True)
    )


def _measure_width(
    width: WidthCalibration,
    llrs: NDArray[np.float64],
    by_score: NDArray[np.float64] | None,
    is_target: NDArray[np.bool_],
) -> WidthFit:
    priors = [each.p_target for each in width.priors]
    return WidthFit(
        width=width,
        cllr=cllr(llrs, is_target),
        min_cllr=min_cllr(llrs, is_target),
        cllr_by_score=None if by_score is None else cllr(by_score, is_target),
        dcf=tuple(
            FittedCost(prior, min_dcf(llrs, is_target, p_target=prior), act_dcf(llrs, is_target, p_target=prior))
            for prior in priors
        ),
    )
