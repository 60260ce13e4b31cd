"""Trials with a score at every width: what every figure, interval and comparison is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MIN_SPEAKERS = 20  # below, an interval over speakers means little


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
        """Whether there are target and non-target trials, so that error rates exist."""
        return 0 < self.n_target < self.is_target.size

    @cached_property
    def n_speakers(self) -> int:
        """Speakers of all trials: those that are drawn for intervals."""
        return int(np.unique([self.enroll_speaker, self.test_speaker]).size)

    @cached_property
    def n_speakers_by_kind(self) -> tuple[int, int]:
        """Speakers of the target trials, and of the non-target trials."""
        sides = np.stack([self.enroll_speaker, self.test_speaker])
        target, nontarget = (np.unique(sides[:, kind]).size for kind in (self.is_target, ~self.is_target))
        return target, nontarget

    @property
    def has_intervals(self) -> bool:
        """Whether there are speakers enough of both kinds of trial for an interval to mean something."""
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
