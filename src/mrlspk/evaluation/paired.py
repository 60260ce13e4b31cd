"""Two models on the same trials: their decisions trial by trial, and their error rates speaker by speaker."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.breakdown import speaker_eer
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_threshold_at
from mrlspk.metrics.mcnemar import mcnemar_p_value


@dataclass(frozen=True)
class McNemar:
    """The trials that one of two models alone decides wrongly, each at its own EER threshold.

    Attributes:
        threshold_a: EER threshold of ``a``.
        threshold_b: EER threshold of ``b``.
        only_a_wrong: Trials that ``a`` alone decides wrongly.
        only_b_wrong: Trials that ``b`` alone decides wrongly.
        p_value: Exact, two-sided, as if trials were independent: those of one speaker are not, so it is too small.
    """

    threshold_a: float
    threshold_b: float
    only_a_wrong: int
    only_b_wrong: int
    p_value: float


@dataclass(frozen=True)
class Signs:
    """For how many speakers ``b`` has fewer errors than ``a``, more, or as many."""

    fewer: int
    more: int
    equal: int


@dataclass(frozen=True)
class SpeakerDifference:
    """One speaker: the equal error rates among the trials that the speaker is on either side of."""

    speaker: str
    eer_a: float
    eer_b: float
    delta: float


def mcnemar(a: ScoredTrials, b: ScoredTrials) -> McNemar:
    """Return how the decisions of two models on the same trials, of one width each, differ."""
    threshold_a, wrong_a = _wrong(a)
    threshold_b, wrong_b = _wrong(b)
    only_a, only_b = int(np.count_nonzero(wrong_a & ~wrong_b)), int(np.count_nonzero(wrong_b & ~wrong_a))
    return McNemar(threshold_a, threshold_b, only_a, only_b, mcnemar_p_value(only_a, only_b))


def speaker_differences(a: ScoredTrials, b: ScoredTrials) -> tuple[Signs, tuple[SpeakerDifference, ...]]:
    """Return the difference of each speaker who has both kinds of trial, and how many are of each sign."""
    differences = []
    for index, name in enumerate(a.speakers):
        eer_a, eer_b = (speaker_eer(each, index, each.scores[:, 0]) for each in (a, b))
        if eer_a is not None and eer_b is not None:
            differences.append(SpeakerDifference(name, eer_a, eer_b, eer_b - eer_a))
    fewer, more = (sum(sign * each.delta > 0 for each in differences) for sign in (-1, 1))
    return Signs(fewer, more, len(differences) - fewer - more), tuple(differences)


def _wrong(trials: ScoredTrials) -> tuple[float, NDArray[np.bool_]]:
    """Return the EER threshold of the first width, and (trials,) which trials it decides wrongly."""
    scores = trials.scores[:, 0]
    threshold = eer_threshold_at(operating_points(scores, trials.is_target))
    return threshold, (scores >= threshold) != trials.is_target
