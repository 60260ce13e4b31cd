"""The figures by length of the shorter side, found by cutting the test side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrlspk.evaluation.model_scores import CroppedTrials
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.dcf import min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at


@dataclass(frozen=True)
class DurationWidth:
    """One width at one length; the figures are None where there is only one kind of trial."""

    dim: int
    eer: float | None
    min_dcf: float | None


@dataclass(frozen=True)
class DurationResult:
    """All widths at one length.

    Attributes:
        seconds: Of the middle of the test side that is taken; None for the whole.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        n_left_out: Trials of which a side is shorter.
        results: By width, rising.
    """

    seconds: float | None
    n_target: int
    n_nontarget: int
    n_left_out: int
    results: tuple[DurationWidth, ...]


def measure_durations(
    whole: ScoredTrials,
    cropped: Mapping[float, CroppedTrials],
    durations: Sequence[float | None],
    p_target: float,
) -> tuple[DurationResult, ...]:
    """Return the figures of each length, in the order of ``durations``; None among them is the whole recording."""
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
                _widths(scored, whole.dims, p_target),
            )
        )
    return tuple(results)


def _widths(scored: ScoredTrials | None, dims: Sequence[int], p_target: float) -> tuple[DurationWidth, ...]:
    if scored is None or not scored.both_kinds:
        return tuple(DurationWidth(dim, None, None) for dim in dims)
    points = [operating_points(scores, scored.is_target) for scores in scored.scores.T]
    return tuple(
        DurationWidth(dim, eer_at(at), min_dcf_at(at, p_target=p_target)) for dim, at in zip(dims, points, strict=True)
    )
