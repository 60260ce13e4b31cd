"""The trials that a calibration is fitted on: every list, whole and cut, in one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.evaluation.cohort import NormRequest
from mrlspk.evaluation.embeddings import Embedder
from mrlspk.evaluation.model_scores import ScoredList, score_model
from mrlspk.evaluation.trial_list import TrialList

type Crops = tuple[float | None, ...]


@dataclass(frozen=True, eq=False)
class FittingScores:
    """Scored trials of one or more lists, one after the other.

    Attributes:
        scores: (trials, widths).
        is_target: (trials,)
        shorter_seconds: (trials,) length of the shorter side; of an enrolment of several, their sum counts.
        n_left_out: Trials of which a side was too short for a cut.
    """

    scores: NDArray[np.float64]
    is_target: NDArray[np.bool_]
    shorter_seconds: NDArray[np.float64]
    n_left_out: int


def score_for_fit(
    embedder: Embedder,
    lists: Sequence[TrialList],
    dims: tuple[int, ...],
    *,
    crops: Crops = (None,),
    norm: NormRequest | None = None,
) -> FittingScores:
    """Return every list scored, once for each crop.

    Args:
        embedder: The model.
        lists: Trials with their audio.
        dims: Prefix widths, rising.
        crops: Seconds to which the test side is cut, from its middle; None among them is the whole.
        norm: Score normalisation; None for plain cosines.

    Raises:
        DataError: If an utterance cannot be embedded, the cohort cannot be used, or a cut leaves one kind of trial.
    """
    cuts = tuple(seconds for seconds in crops if seconds is not None)
    scored = score_model(embedder, lists, dims, crops=cuts, norm=norm)
    parts = [_part(each, seconds) for each in scored for seconds in crops]
    return FittingScores(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.is_target for part in parts]),
        np.concatenate([part.shorter_seconds for part in parts]),
        sum(part.n_left_out for part in parts),
    )


def _part(each: ScoredList, seconds: float | None) -> FittingScores:
    """Return the trials of one list at one length; None is the whole."""
    if seconds is None:
        return FittingScores(each.scored.scores, each.scored.is_target, each.shorter_seconds, 0)
    cut = each.cropped[seconds]
    if cut.scored is None or not cut.scored.both_kinds:
        target = each.scored.is_target[cut.kept]
        raise DataError(
            f"{np.count_nonzero(target)} target and {np.count_nonzero(~target)} non-target trials have both sides "
            f"of {seconds:g} s or more",
            each.trial_list.trials.path,
            "Leave that length out of --durations.",
        )
    shorter = np.minimum(each.shorter_seconds[cut.kept], seconds)
    return FittingScores(cut.scored.scores, cut.scored.is_target, shorter, cut.n_left_out)
