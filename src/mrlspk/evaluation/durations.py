"""Measure how the metrics depend on duration by cropping the test side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrlspk.evaluation.model_scores import CroppedTrials
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths


@dataclass(frozen=True)
class DurationResult:
    """All widths at one duration.

    Attributes:
        seconds: Length of the crop from the middle of the test side; None for the whole recording.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        n_left_out: Trials with a shorter side.
        results: By width, rising; empty if there is only one kind of trial.
    """

    seconds: float | None
    n_target: int
    n_nontarget: int
    n_left_out: int
    results: tuple[WidthMetrics, ...]


def measure_durations(
    whole: ScoredTrials,
    cropped: Mapping[float, CroppedTrials],
    durations: Sequence[float | None],
    p_target: float,
) -> tuple[DurationResult, ...]:
    """Return the metrics of each duration, in the given order; None among them is the whole recording."""
    results = []
    for seconds in durations:
        part = CroppedTrials(whole, np.ones_like(whole.is_target)) if seconds is None else cropped[seconds]
        scored = part.scored
        results.append(
            DurationResult(
                seconds,
                scored.n_target if scored else 0,
                scored.n_nontarget if scored else 0,
                part.n_left_out,
                _measure(scored, p_target),
            )
        )
    return tuple(results)


def _measure(trials: ScoredTrials | None, p_target: float) -> tuple[WidthMetrics, ...]:
    if trials is None or not trials.both_kinds:
        return ()
    return measure_widths(trials.scores, trials.is_target, trials.dims, p_targets=[p_target], brief=True)
