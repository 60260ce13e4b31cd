"""The scores of one list as they are kept: what a comparison needs, without audio and without the model."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from mrlspk.data.trials import OfficialMatch
from mrlspk.evaluation.model_scores import ScoredList
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import MissingAudio


@dataclass(frozen=True, eq=False)
class ListScores:
    """One trial list scored by one model.

    Attributes:
        path: The list's file, or how its trials were made.
        sha256: Of the list.
        official: The published list that it is, if it is one.
        source: Why it is these trials.
        missing: What was left out for want of audio; None where nothing may be.
        speakers_from: How the speakers of the trials are known.
        scored: The scores.
    """

    path: str
    sha256: str
    official: OfficialMatch | None
    source: str
    missing: MissingAudio | None
    speakers_from: str
    scored: ScoredTrials

    @classmethod
    def of(cls, each: ScoredList) -> Self:
        """Return the scores of a list that was just scored."""
        trials, trial_list = each.trial_list.trials, each.trial_list
        return cls(
            trials.path,
            trials.sha256,
            trial_list.official,
            trial_list.source,
            trial_list.missing,
            each.speakers_from,
            each.scored,
        )

    def same_trials(self, other: "ListScores") -> bool:
        """Return whether the other scores are of the same list, with the same trials left out."""
        mine, theirs = self.scored, other.scored
        return self.sha256 == other.sha256 and all(
            np.array_equal(a, b)
            for a, b in (
                (mine.is_target, theirs.is_target),
                (mine.enroll_speaker, theirs.enroll_speaker),
                (mine.test_speaker, theirs.test_speaker),
            )
        )

    def describe(self) -> str:
        """Return which list it is, for an error."""
        return f"{self.path} ({len(self.scored.is_target)} trials, SHA-256 {self.sha256[:12]})"
