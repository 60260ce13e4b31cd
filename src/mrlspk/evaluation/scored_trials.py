"""Trials with a score at every width, and resamples of their speakers for intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.significance import LEVEL, BootstrapResamples, bootstrap_speakers

MIN_SPEAKERS = 20  # an interval over fewer speakers means little


@dataclass(frozen=True)
class Resampling:
    """Settings of the bootstrap over speakers.

    Attributes:
        n_resamples: Number of resamples; 0 for no intervals.
        seed: Of the resamples.
    """

    n_resamples: int
    seed: int


@dataclass(frozen=True, eq=False)
class ScoredTrials:
    """The trials of one list, in its order, scored by one model.

    Attributes:
        dims: Widths, rising.
        scores: (trials, len(dims)): cosines, or normalised scores.
        is_target: (trials,) True where both sides are of one speaker.
        enroll_speaker: (trials,) index into ``speakers`` of the enrolment side.
        test_speaker: (trials,) the same of the test side.
        speakers: Names.
    """

    dims: tuple[int, ...]
    scores: NDArray[np.float64]
    is_target: NDArray[np.bool_]
    enroll_speaker: NDArray[np.int64]
    test_speaker: NDArray[np.int64]
    speakers: tuple[str, ...]

    @property
    def n_target(self) -> int:
        """Number of target trials."""
        return int(np.count_nonzero(self.is_target))

    @property
    def n_nontarget(self) -> int:
        """Number of non-target trials."""
        return self.is_target.size - self.n_target

    @property
    def both_kinds(self) -> bool:
        """Whether there are target and non-target trials, so that error rates are defined."""
        return 0 < self.n_target < self.is_target.size

    @cached_property
    def n_speakers(self) -> int:
        """Speakers of all trials, who are resampled for intervals."""
        return int(np.unique([self.enroll_speaker, self.test_speaker]).size)

    @cached_property
    def n_speakers_by_kind(self) -> tuple[int, int]:
        """Speakers of the target trials, and of the non-target trials."""
        sides = np.stack([self.enroll_speaker, self.test_speaker])
        target, nontarget = (np.unique(sides[:, kind]).size for kind in (self.is_target, ~self.is_target))
        return target, nontarget

    @property
    def has_intervals(self) -> bool:
        """Whether both kinds of trial have enough speakers for an interval."""
        return min(self.n_speakers_by_kind) >= MIN_SPEAKERS

    def only(self, keep: NDArray[np.bool_]) -> "ScoredTrials":
        """Return the trials where ``keep`` (trials,) is true."""
        return ScoredTrials(
            self.dims,
            self.scores[keep],
            self.is_target[keep],
            self.enroll_speaker[keep],
            self.test_speaker[keep],
            self.speakers,
        )

    def at(self, dims: Sequence[int]) -> "ScoredTrials":
        """Return the scores of some of the widths."""
        columns = [self.dims.index(dim) for dim in dims]
        return replace(self, dims=tuple(dims), scores=self.scores[:, columns])

    def resample(self, p_targets: Sequence[float], resampling: Resampling) -> BootstrapResamples | None:
        """Return resamples of the speakers; None if no intervals are requested or there are too few speakers."""
        if not (resampling.n_resamples and self.has_intervals):
            return None
        return bootstrap_speakers(
            self.scores,
            self.is_target,
            self.enroll_speaker,
            self.test_speaker,
            p_targets=p_targets,
            n_resamples=resampling.n_resamples,
            seed=resampling.seed,
        )


@dataclass(frozen=True)
class IntervalNote:
    """The basis of the intervals of one list.

    Attributes:
        level: Share of repetitions in which an interval should contain the true rate.
        n_resamples: Number of resamples; 0 without intervals.
        n_speakers: Speakers that are resampled.
        speakers_from: How the speakers of the trials are known.
        note: Why there are no intervals; None if there are.
    """

    level: float
    n_resamples: int
    n_speakers: int
    speakers_from: str
    note: str | None


def describe_intervals(trials: ScoredTrials, resampling: Resampling, *, speakers_from: str) -> IntervalNote:
    """Return the basis of the intervals of these trials, or why they have none."""
    note = None
    if resampling.n_resamples == 0:
        note = "not requested"
    elif not trials.has_intervals:
        note = f"{_count_speakers(trials)}; at least {MIN_SPEAKERS} are needed"
    return IntervalNote(
        LEVEL, 0 if note else resampling.n_resamples, trials.n_speakers, speakers_from=speakers_from, note=note
    )


def _count_speakers(trials: ScoredTrials) -> str:
    """Return the number of speakers; if one kind of trial has fewer, the number of its speakers."""
    target, nontarget = trials.n_speakers_by_kind
    if min(target, nontarget) == trials.n_speakers:
        return f"{trials.n_speakers} speakers"
    return f"target trials of {target} speakers" if target < nontarget else f"non-target trials of {nontarget} speakers"
