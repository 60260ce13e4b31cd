"""The trials that a calibration is fitted on: every list, whole and cut, in one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import Trials, trial_speakers
from mrlspk.encoding.embedding import Recording
from mrlspk.errors import DataError
from mrlspk.evaluation.cohort import NormRequest, warn_of_overlap
from mrlspk.evaluation.embeddings import Embedder, Embeddings
from mrlspk.evaluation.score_norm import ScoreNorm, join_cohort, normalise
from mrlspk.evaluation.scoring import enrolment_side, score_sides, test_side
from mrlspk.evaluation.trial_list import TrialList

type Crops = tuple[float | None, ...]


@dataclass(frozen=True, eq=False)
class FittingScores:
    """Scored trials of one or more lists, one after the other.

    Attributes:
        scores: (trials, widths).
        is_target: (trials,)
        shorter_seconds: (trials,) length of the shorter side; of an enrolment of several, their sum counts.
        n_left_out: Trials whose test side was too short to be cut.
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
    paths = dict.fromkeys(path for each in lists for path in each.paths.values())
    wanted = [Recording(path, seconds) for path in paths for seconds in dict.fromkeys((None, *crops))]
    embeddings = embedder.embed([*wanted, *(norm.cohort.wanted if norm else ())])
    score_norm = join_cohort(norm, embeddings) if norm else None
    if score_norm:
        for each in lists:
            warn_of_overlap(score_norm.cohort, trial_speakers(each.trials).names, each.trials.path)
    parts = [part for each in lists for part in _score_list(embeddings, each, dims, crops, score_norm)]
    return FittingScores(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.is_target for part in parts]),
        np.concatenate([part.shorter_seconds for part in parts]),
        sum(part.n_left_out for part in parts),
    )


def _score_list(
    embeddings: Embeddings, trial_list: TrialList, dims: tuple[int, ...], crops: Crops, norm: ScoreNorm | None
) -> Iterator[FittingScores]:
    trials, whole = trial_list.trials, embeddings.of(trial_list.paths)
    seconds = _shorter_seconds(trials, embeddings.seconds_of(trial_list.paths))
    for crop in crops:
        cut = embeddings.of(trial_list.paths, crop_seconds=crop)
        keep = np.array([test_id in cut for test_id in trials.test_ids])
        kept = trials.only(keep)
        if not (kept.n_target and kept.n_nontarget):
            raise DataError(
                f"{kept.n_target} target and {kept.n_nontarget} non-target trials have a test side of {crop:g} s "
                "or more",
                trials.path,
                "Leave that length out of --durations.",
            )
        enroll, test = enrolment_side(whole, kept), test_side(cut, kept)
        scores = score_sides(enroll, test, dims)
        if norm is not None:
            scores = normalise(scores, enroll, test, dims, norm)
        shorter = np.minimum(seconds[keep], np.inf if crop is None else crop)
        yield FittingScores(scores, kept.is_target, shorter, int(np.count_nonzero(~keep)))


def _shorter_seconds(trials: Trials, seconds: Mapping[str, float]) -> NDArray[np.float64]:
    enroll = {each: sum(seconds[one] for one in trials.enroll_utterances(each)) for each in {*trials.enroll_ids}}
    sides = zip(trials.enroll_ids, trials.test_ids, strict=True)
    return np.array([min(enroll[enroll_id], seconds[test_id]) for enroll_id, test_id in sides])
