"""Evaluate open-set identification: who is found, at which rate of false alarms, by width and by seconds of speech.

The terms are those of ISO/IEC 19795-1 and of NIST's evaluations. A query of an enrolled speaker is a mated search, one
of another speaker a non-mated search. The false-positive identification rate (FPIR, the false alarm rate of a search)
is the share of non-mated searches that return a voice at or above the threshold. The true-positive identification rate
(TPIR; in NIST's words the detection and identification rate, DIR) is the share of mated searches whose best voice is
the right one, at or above the threshold; the false-negative rate FNIR is 1 - TPIR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.index.decisions.calibration import IndexCalibration
from mrlspk.index.decisions.decide import DEFAULT_FALSE_ACCEPT_RATE, DEFAULT_MARGIN
from mrlspk.index.decisions.decision_rates import DecisionRates, decide_all, measure_decisions
from mrlspk.index.decisions.searches import Searches
from mrlspk.index.decisions.speaker_resamples import SpeakerResamples
from mrlspk.metrics.det import OperatingPoints, operating_points, threshold_at_far
from mrlspk.metrics.significance import Interval

FALSE_ALARM_RATES = (0.001, 0.01, 0.1)


@dataclass(frozen=True)
class IdentificationRate:
    """The share of enrolled speakers' queries that are identified at one false alarm rate.

    Attributes:
        false_alarm_rate: FPIR asked for.
        identification_rate: TPIR at rank 1; None if so few false alarms cannot be measured on these queries.
        identification_rate_ci: Its interval over speakers.
        false_alarms: FPIR of the threshold, at most the rate asked for.
        threshold: Ratio, or cosine without a calibration, above which a voice is returned.
    """

    false_alarm_rate: float
    identification_rate: float | None
    identification_rate_ci: Interval | None
    false_alarms: float | None
    threshold: float | None


@dataclass(frozen=True, eq=False)
class WidthIdentification:
    """Open-set identification at one width.

    Attributes:
        dim: The width.
        rank_1: Share of enrolled speakers' queries whose best voice is the right one: closed-set identification.
        rank_1_ci: Its interval over speakers.
        rates: At each false alarm rate.
        decisions: With the calibration of the index, first of all queries, then by seconds of speech; empty without.
        points: FPIR as ``p_fa`` and FNIR as ``p_miss`` at every threshold, for the DET curve.
    """

    dim: int
    rank_1: float
    rank_1_ci: Interval
    rates: tuple[IdentificationRate, ...]
    decisions: tuple[DecisionRates, ...]
    points: OperatingPoints


@dataclass(frozen=True, eq=False)
class OpenSetReport:
    """Open-set identification over one index.

    Attributes:
        n_voices: That were searched.
        n_enrolled: Queries of enrolled speakers.
        n_enrolled_speakers: Enrolled speakers with queries.
        n_unknown: Queries of speakers who are not enrolled.
        n_unknown_speakers: Such speakers.
        widths: Rising.
    """

    n_voices: int
    n_enrolled: int
    n_enrolled_speakers: int
    n_unknown: int
    n_unknown_speakers: int
    widths: tuple[WidthIdentification, ...]


def evaluate_open_set(
    searches: Searches,
    *,
    calibration: IndexCalibration | None = None,
    false_alarm_rates: Sequence[float] = FALSE_ALARM_RATES,
    false_accept_rate: float = DEFAULT_FALSE_ACCEPT_RATE,
    margin: float = DEFAULT_MARGIN,
    n_resamples: int = 1000,
    seed: int = 0,
) -> OpenSetReport:
    """Return identification rates at false alarm rates, and what the index's decisions do.

    Args:
        searches: Of queries that are not enrolled.
        calibration: Of the index; rates are then measured on its ratios, which depend on seconds of speech.
        false_alarm_rates: To measure identification rates at.
        false_accept_rate: Of the decisions.
        margin: Likewise.
        n_resamples: Of the speakers, for intervals.
        seed: Of the resamples.

    Raises:
        DataError: If no query is of an enrolled speaker, or none of another.
        UsageError: If a width is not calibrated.
    """
    _check(searches)
    decisive = searches if calibration is None else searches.as_ratios(calibration)
    resamples = SpeakerResamples(searches.speakers, searches.is_enrolled, n_resamples=n_resamples, seed=seed)
    widths = []
    for place, dim in enumerate(searches.dims):
        right = searches.is_right[:, place] & searches.is_enrolled
        rank_1, rank_1_ci = resamples.share(right, searches.is_enrolled)
        points = open_set_points(decisive.best[:, place], right, searches.is_enrolled)
        rates = (_identification(decisive, place, points, resamples, each) for each in false_alarm_rates)
        decisions: tuple[DecisionRates, ...] = ()
        if calibration is not None:
            verdicts = decide_all(decisive, place, calibration, false_accept_rate=false_accept_rate, margin=margin)
            decisions = tuple(
                measure_decisions(searches, place, verdicts, resamples, false_accept_rate=false_accept_rate)
            )
        widths.append(WidthIdentification(dim, rank_1, rank_1_ci, tuple(rates), decisions, points))
    names = np.array(searches.speakers)
    mated = searches.is_enrolled
    return OpenSetReport(
        n_voices=searches.n_voices,
        n_enrolled=int(mated.sum()),
        n_enrolled_speakers=len(np.unique(names[mated])),
        n_unknown=int((~mated).sum()),
        n_unknown_speakers=len(np.unique(names[~mated])),
        widths=tuple(widths),
    )


def open_set_points(
    best: NDArray[np.float64], is_right: NDArray[np.bool_], is_enrolled: NDArray[np.bool_]
) -> OperatingPoints:
    """Return FPIR as ``p_fa`` and FNIR at rank 1 as ``p_miss`` at every threshold; arrays are (queries,).

    A query of an enrolled speaker whose best voice is another's is missed at every threshold.
    """
    lowest = np.min(best, initial=0.0, where=np.isfinite(best)) - 1
    never = is_enrolled & ~is_right
    points = operating_points(np.where(never | ~np.isfinite(best), lowest, best), is_enrolled)
    least_missed = np.count_nonzero(never) / np.count_nonzero(is_enrolled)
    most_alarms = np.mean(np.isfinite(best[~is_enrolled]))
    return OperatingPoints(
        points.thresholds, np.maximum(points.p_miss, least_missed), np.minimum(points.p_fa, most_alarms)
    )


def _identification(
    decisive: Searches, place: int, points: OperatingPoints, resamples: SpeakerResamples, false_alarm_rate: float
) -> IdentificationRate:
    """Return the identification rate at one false alarm rate, without a value if that is less than one false alarm."""
    mated = decisive.is_enrolled
    if false_alarm_rate * np.count_nonzero(~mated) < 1:
        return IdentificationRate(false_alarm_rate, None, None, None, None)
    found = threshold_at_far(points, false_alarm_rate)
    if not np.isfinite(found.threshold):
        return IdentificationRate(false_alarm_rate, 0.0, None, found.p_fa, None)
    estimate = 1 - found.p_miss
    interval = resamples.identified(
        decisive.best[:, place],
        decisive.is_right[:, place] & mated,
        mated,
        false_alarm_rate=false_alarm_rate,
        estimate=estimate,
    )
    return IdentificationRate(false_alarm_rate, estimate, interval, found.p_fa, found.threshold)


def _check(searches: Searches) -> None:
    n_enrolled = int(searches.is_enrolled.sum())
    if 0 < n_enrolled < len(searches):
        return
    raise DataError(
        f"open-set identification needs recordings of enrolled and of other speakers, got {n_enrolled} of enrolled and "
        f"{len(searches) - n_enrolled} of other speakers",
        fix="Name the subfolders of enrolled speakers as their voices, and add subfolders of speakers who are not "
        "enrolled.",
    )
