"""Decide between accepting a voice, unknown and ambiguous."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError
from mrlspk.index.decisions.calibration import IndexCalibration, Threshold
from mrlspk.index.rate_text import rate_text

DEFAULT_FALSE_ACCEPT_RATE = 0.01
DEFAULT_MARGIN = math.log(10)  # nats: the best voice is ten times as likely as the next
FAR_BEYOND = 10  # a rate so many times below the lowest measured one is told with a warning
NEARLY = 0.95  # of the least seconds of the calibration

type Verdict = Literal["accept", "unknown", "ambiguous"]


@dataclass(frozen=True, eq=False)
class Decision:
    """The decision on one query.

    Attributes:
        verdict: ``accept``; ``unknown`` if none reaches the threshold; ``ambiguous`` if several do within the margin.
        n_accepted: The first so many candidates are accepted: one, none, or several if ambiguous.
        llrs: (candidates,), ratios of the candidates, limited to those that the calibration's trials support.
        threshold: That the best candidate has to reach.
        false_accept_rate: How often a recording of nobody enrolled is accepted, or called ambiguous: of the threshold;
            0 without a voice to accept.
        best_rate: How often such a recording reaches the best candidate's ratio; at most ``false_accept_rate`` exactly
            if the voice is accepted.
        n_voices: That were searched.
        warnings: What makes the decision less reliable.
    """

    verdict: Verdict
    n_accepted: int
    llrs: NDArray[np.float64]
    threshold: Threshold
    false_accept_rate: float
    best_rate: float
    n_voices: int
    warnings: tuple[str, ...]


def decide(
    calibration: IndexCalibration,
    scores: NDArray[np.floating],
    *,
    dim: int,
    n_voices: int,
    speech_seconds: float | None,
    false_accept_rate: float = DEFAULT_FALSE_ACCEPT_RATE,
    margin: float = DEFAULT_MARGIN,
) -> Decision:
    """Return the decision on one query: open-set identification at rank 1 (ISO/IEC 19795-1).

    The ratio is compared without the limits of `IndexCalibration.llr_bounds`: a threshold for many voices lies beyond
    them, and limited ratios would never reach it. Such a threshold comes from the exponential tail; a warning says so.

    Args:
        calibration: Of the index.
        scores: (candidates,), falling: cosines of the best voices, each once. May be empty.
        dim: Their width.
        n_voices: Voices that were searched, after filters.
        speech_seconds: Speech of the query; None if it is unknown.
        false_accept_rate: Share of recordings of nobody enrolled that may be accepted.
        margin: Nats by which the best voice has to lead the next.

    Raises:
        UsageError: If the width is not calibrated, or a value is out of range.
    """
    if margin < 0 or not math.isfinite(margin):
        raise UsageError(f"expected a margin of 0 nats or more, got {margin:g}", parameter="margin")
    threshold = calibration.threshold(false_accept_rate, max(n_voices, 1), dim, speech_seconds)
    llrs = calibration.llrs(np.asarray(scores), dim, speech_seconds)
    if (np.diff(llrs) > 0).any():
        raise ValueError("expected candidates by falling score")
    best_rate, n_accepted = 1.0, 0
    if llrs.size:
        best_rate = calibration.false_accept_rate(float(llrs[0]), n_voices, dim)
        is_near = (llrs[1:] >= threshold.llr) & (llrs[0] - llrs[1:] < margin)
        n_accepted = (1 + int(np.count_nonzero(is_near))) if llrs[0] >= threshold.llr else 0
    return Decision(
        verdict="unknown" if n_accepted == 0 else "accept" if n_accepted == 1 else "ambiguous",
        n_accepted=n_accepted,
        llrs=np.clip(llrs, *calibration.llr_bounds),
        threshold=threshold,
        false_accept_rate=threshold.false_accept_rate if n_voices else 0.0,
        best_rate=best_rate,
        n_voices=n_voices,
        warnings=tuple(_warnings(calibration, threshold, n_voices, dim, speech_seconds)),
    )


def _warnings(
    calibration: IndexCalibration, threshold: Threshold, n_voices: int, dim: int, speech_seconds: float | None
) -> Iterator[str]:
    low, high = calibration.seconds_range
    if speech_seconds is None or not math.isfinite(speech_seconds):
        if calibration.width(dim).line.duration_weight is not None:
            yield f"the seconds of speech are unknown: the decision assumes {calibration.typical_seconds:.1f} s"
    elif speech_seconds < low * NEARLY:
        yield (
            f"{speech_seconds:.1f} s of speech, but the index was calibrated on {low:.1f} to {high:.1f} s: "
            "the decision is less reliable"
        )
    lowest = calibration.width(dim).tail(n_voices).lowest_measured
    if threshold.rate_per_voice * FAR_BEYOND < lowest:
        yield (
            f"a false-accept rate of {rate_text(threshold.false_accept_rate)} for {n_voices:,} voices is extrapolated: "
            f"it takes {rate_text(threshold.rate_per_voice)} for each voice, "
            f"and {rate_text(lowest)} is the lowest that was measured"
        )
