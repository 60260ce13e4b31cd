"""The scores of one model as they are kept: what a comparison needs, without audio and without the model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from mrlspk.data.trials import OfficialMatch, Trials
from mrlspk.evaluation.cohort import NormRequest
from mrlspk.evaluation.model_scores import ScoredList
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import MissingAudio


@dataclass(frozen=True, eq=False)
class ListScores:
    """One trial list scored by one model.

    Attributes:
        path: The list's file, or how its trials were made.
        sha256: Of the list.
        trials_sha256: Of the trials that were scored, in their order, and of the file of enrolment models.
        official: The published list that it is, if it is one.
        source: Why it is these trials.
        audio_root: What its utterance ids were relative to.
        missing: What was left out for want of audio; None where nothing may be.
        speakers_from: How the speakers of the trials are known.
        scored: The scores.
    """

    path: str
    sha256: str
    trials_sha256: str
    official: OfficialMatch | None
    source: str
    audio_root: str
    missing: MissingAudio | None
    speakers_from: str
    scored: ScoredTrials

    @classmethod
    def of(cls, each: ScoredList) -> Self:
        """Return the scores of a list that was just scored."""
        trials, trial_list = each.trial_list.trials, each.trial_list
        return cls(
            path=trials.path,
            sha256=trials.sha256,
            trials_sha256=_trials_sha256(trials),
            official=trial_list.official,
            source=trial_list.source,
            audio_root=str(trial_list.audio_root),
            missing=trial_list.missing,
            speakers_from=each.speakers_from,
            scored=each.scored,
        )

    def same_trials(self, other: "ListScores") -> bool:
        """Return whether the other scores are of the same trials, with the same left out and the same enrolments."""
        mine, theirs = self.scored, other.scored
        return (self.sha256, self.trials_sha256, mine.speakers) == (
            other.sha256,
            other.trials_sha256,
            theirs.speakers,
        ) and all(
            np.array_equal(a, b)
            for a, b in (
                (mine.is_target, theirs.is_target),
                (mine.enroll_speaker, theirs.enroll_speaker),
                (mine.test_speaker, theirs.test_speaker),
            )
        )

    def describe(self) -> str:
        """Return which list it is, for an error."""
        return f"{self.path} ({len(self.scored.is_target)} trials, SHA-256 {self.trials_sha256[:12]})"


@dataclass(frozen=True)
class ScoredAs:
    """How scores were made, beside the model and the trials.

    Attributes:
        score_norm: Normalisation.
        top_n: Highest cohort scores of AS-Norm.
        cohort: Fingerprint of the cohort.
        max_seconds: Longer recordings were embedded in averaged windows.
    """

    score_norm: Literal["none", "s", "as"]
    top_n: int | None
    cohort: str | None
    max_seconds: float

    @classmethod
    def of(cls, norm: NormRequest | None, max_seconds: float) -> Self:
        """Return how scores of this normalisation are made."""
        if norm is None:
            return cls("none", None, None, max_seconds)
        return cls(norm.kind, norm.top_n, norm.cohort.fingerprint, max_seconds)

    def describe(self) -> str:
        """Return it in words."""
        kind = {"none": "plain cosines", "s": "S-Norm", "as": f"AS-Norm, top {self.top_n}"}[self.score_norm]
        cohort = f", cohort {self.cohort[:12]}" if self.cohort else ""
        return f"{kind}{cohort}, files whole up to {self.max_seconds:g} s"


@dataclass(frozen=True)
class ModelScores:
    """The lists that a model was scored on; ``fingerprint`` is that of its weights."""

    fingerprint: str
    scored_as: ScoredAs
    lists: tuple[ListScores, ...]


def keep_scores(fingerprint: str, scored_as: ScoredAs, lists: Sequence[ScoredList]) -> ModelScores:
    """Return the scores of lists that were just scored."""
    return ModelScores(fingerprint, scored_as, tuple(map(ListScores.of, lists)))


def _trials_sha256(trials: Trials) -> str:
    rows = zip(trials.enroll_ids, trials.test_ids, strict=True)
    text = "\n".join([str(trials.enrolments_sha256), *(f"{enroll}\t{test}" for enroll, test in rows)])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
