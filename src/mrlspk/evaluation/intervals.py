"""Intervals of the figures, by drawing speakers again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.figures import WidthIntervals
from mrlspk.evaluation.scored_trials import MIN_SPEAKERS, ScoredTrials
from mrlspk.metrics.bootstrap import BootstrapDraws, bootstrap_speakers, rate_interval
from mrlspk.metrics.dcf import cost_weights, min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at

LEVEL = 0.95


@dataclass(frozen=True)
class Resampling:
    """How speakers are drawn.

    Attributes:
        n_resamples: Draws; 0 for no intervals.
        seed: Of the draws.
    """

    n_resamples: int
    seed: int


@dataclass(frozen=True)
class IntervalNote:
    """What the intervals of one list rest on.

    Attributes:
        level: Share of repetitions in which an interval should hold the true figure.
        n_resamples: Draws; 0 where there are no intervals.
        n_speakers: Speakers that are drawn.
        speakers_from: How the speakers of the trials are known.
        note: Why there are no intervals; None where there are.
    """

    level: float
    n_resamples: int
    n_speakers: int
    speakers_from: str
    note: str | None


def describe_intervals(trials: ScoredTrials, resampling: Resampling, *, speakers_from: str) -> IntervalNote:
    """Return what the intervals of these trials rest on, or why they have none."""
    note = None
    if resampling.n_resamples == 0:
        note = "not asked for"
    elif not trials.has_intervals:
        note = f"{_count_speakers(trials)}: an interval over fewer than {MIN_SPEAKERS} means little"
    return IntervalNote(
        LEVEL, 0 if note else resampling.n_resamples, trials.n_speakers, speakers_from=speakers_from, note=note
    )


def _count_speakers(trials: ScoredTrials) -> str:
    """Return how many speakers there are; where one kind of trial has fewer, how many it has."""
    target, nontarget = trials.n_speakers_by_kind
    if min(target, nontarget) == trials.n_speakers:
        return f"{trials.n_speakers} speakers"
    return f"target trials of {target} speakers" if target < nontarget else f"non-target trials of {nontarget} speakers"


def draw(
    trials: ScoredTrials, scores: NDArray[np.float64], p_targets: Sequence[float], resampling: Resampling
) -> BootstrapDraws:
    """Return the figures of each resample; ``scores`` (trials, columns) may hold the widths of several models."""
    return bootstrap_speakers(
        scores,
        trials.is_target,
        trials.enroll_speaker,
        trials.test_speaker,
        p_targets=p_targets,
        n_resamples=resampling.n_resamples,
        seed=resampling.seed,
    )


def width_intervals(
    trials: ScoredTrials, p_targets: Sequence[float], resampling: Resampling
) -> tuple[WidthIntervals, ...] | None:
    """Return the intervals of each width; None where there are none."""
    if not (resampling.n_resamples and trials.has_intervals):
        return None
    draws = draw(trials, trials.scores, p_targets, resampling)
    return tuple(column_intervals(trials, draws, column, p_targets) for column in range(len(trials.dims)))


def column_intervals(
    trials: ScoredTrials, draws: BootstrapDraws, column: int, p_targets: Sequence[float]
) -> WidthIntervals:
    """Return the intervals of one width."""
    points = operating_points(trials.scores[:, column], trials.is_target)
    n_speakers = min(trials.n_speakers_by_kind)
    return WidthIntervals(
        eer=rate_interval(draws.eer[:, column], eer_at(points), n_speakers=n_speakers, level=LEVEL),
        min_dcf=tuple(
            rate_interval(
                draws.min_dcf[:, column, index],
                min_dcf_at(points, p_target=p_target),
                n_speakers=n_speakers,
                weight=sum(cost_weights(p_target)),
                level=LEVEL,
            )
            for index, p_target in enumerate(p_targets)
        ),
    )
