"""Score trial lists with one model: embed every utterance once, score every list at every width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.trials import Trials, TrialSpeakers, trial_speakers
from mrlspk.errors import UsageError
from mrlspk.evaluation.embedder import Embeddings, EmbeddingSource
from mrlspk.evaluation.score_norm import NormRequest, ScoreNorm, join_cohort, normalise, warn_of_overlap
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_cosines import enrolment_side, score_sides, test_side
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.inference.backend import check_dims
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import Recording


@dataclass(frozen=True, eq=False)
class CroppedTrials:
    """Trials with a cropped test side, if any; ``kept`` (trials,) is True where both sides were long enough."""

    scored: ScoredTrials | None
    kept: NDArray[np.bool_]

    @property
    def n_left_out(self) -> int:
        """Trials with a side shorter than the crop."""
        return int(np.count_nonzero(~self.kept))


@dataclass(frozen=True, eq=False)
class ScoredList:
    """One trial list scored by one model.

    Attributes:
        trial_list: The trials and their audio.
        scored: Their scores.
        speakers_from: How their speakers are known.
        shorter_seconds: (trials,), duration of the shorter side; an enrolment of several recordings counts their sum.
        cropped: The same trials with only the middle of the test side, by its seconds.
    """

    trial_list: TrialList
    scored: ScoredTrials
    speakers_from: str
    shorter_seconds: NDArray[np.float64]
    cropped: Mapping[float, CroppedTrials] = field(default_factory=dict)


def choose_dims(
    trained: tuple[int, ...], dims: tuple[int, ...] | None, *, allow_untrained: bool, model: ModelFile
) -> tuple[int, ...]:
    """Return the widths to score: the requested ones, or all that the model was trained for.

    Raises:
        UsageError: If the model does not have a width, or was not trained for it and that is not allowed.
    """
    try:
        return check_dims(trained, dims, allow_untrained=allow_untrained, model=model)
    except UsageError as error:
        raise UsageError(error.what, model.path, error.fix, parameter="dims") from error


def score_model(
    embedder: EmbeddingSource,
    lists: Sequence[TrialList],
    dims: tuple[int, ...],
    *,
    crops: Sequence[float] = (),
    norm: NormRequest | None = None,
) -> tuple[ScoredList, ...]:
    """Return each list, scored, in order.

    Args:
        embedder: The model.
        lists: Trials with their audio.
        dims: Prefix widths, rising.
        crops: Seconds that the test side is cropped to for further scores.
        norm: Score normalisation; None for plain cosines.

    Raises:
        DataError: If an utterance cannot be read or embedded, or the cohort cannot be used.
    """
    wanted = [Recording(source) for each in lists for source in each.audio.values()]
    wanted += [
        Recording(each.audio[utterance_id], seconds)
        for each in lists
        for utterance_id in dict.fromkeys(each.trials.test_ids)
        for seconds in crops
    ]
    embeddings = embedder.embed([*_by_path(wanted), *(norm.cohort.wanted if norm else ())])
    score_norm = join_cohort(norm, embeddings) if norm else None
    return tuple(_score_list(embeddings, each, dims, crops, score_norm) for each in lists)


def score_lists(embeddings: Embeddings, lists: Sequence[TrialList], dims: tuple[int, ...]) -> tuple[ScoredList, ...]:
    """Return each list, in order, scored by plain cosines of embeddings that are already there.

    Raises:
        DataError: If an embedding is not finite.
    """
    return tuple(_score_list(embeddings, each, dims, (), None) for each in lists)


def _by_path(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings, each once, those of one path next to each other, so that it is decoded once."""
    groups: dict[AudioSource, dict[Recording, None]] = {}
    for recording in recordings:
        groups.setdefault(recording.source, {})[recording] = None
    return [recording for group in groups.values() for recording in group]


def _score_list(
    embeddings: Embeddings,
    trial_list: TrialList,
    dims: tuple[int, ...],
    crops: Sequence[float],
    norm: ScoreNorm | None,
) -> ScoredList:
    trials, whole = trial_list.trials, embeddings.of(trial_list.audio)
    speakers = trial_speakers(trials)
    if norm is not None:
        warn_of_overlap(norm.cohort, speakers.names, trials.path)
    shorter_seconds = _shorter_seconds(trials, embeddings.seconds_of(trial_list.audio))
    return ScoredList(
        trial_list=trial_list,
        scored=_score(trials, speakers, whole, whole, dims, norm),
        speakers_from=speakers.source,
        shorter_seconds=shorter_seconds,
        cropped={each: _crop(embeddings, trial_list, speakers, shorter_seconds, each, dims, norm) for each in crops},
    )


def _crop(
    embeddings: Embeddings,
    trial_list: TrialList,
    speakers: TrialSpeakers,
    shorter_seconds: NDArray[np.float64],
    seconds: float,
    dims: tuple[int, ...],
    norm: ScoreNorm | None,
) -> CroppedTrials:
    trials, whole = trial_list.trials, embeddings.of(trial_list.audio)
    cut = embeddings.of(trial_list.audio, crop_seconds=seconds)
    keep = np.array([test_id in cut for test_id in trials.test_ids]) & (shorter_seconds >= seconds)
    scored = _score(trials.only(keep), speakers.only(keep), whole, cut, dims, norm) if keep.any() else None
    return CroppedTrials(scored, keep)


def _score(
    trials: Trials,
    speakers: TrialSpeakers,
    enroll_vectors: Mapping[str, NDArray[np.float32]],
    test_vectors: Mapping[str, NDArray[np.float32]],
    dims: tuple[int, ...],
    norm: ScoreNorm | None,
) -> ScoredTrials:
    enroll, test = enrolment_side(enroll_vectors, trials), test_side(test_vectors, trials)
    scores = score_sides(enroll, test, dims)
    if norm is not None:
        scores = normalise(scores, enroll, test, dims, norm)
    return ScoredTrials(
        dims, scores, trials.is_target, speakers.enroll_speaker, speakers.test_speaker, tuple(speakers.names)
    )


def _shorter_seconds(trials: Trials, seconds: Mapping[str, float]) -> NDArray[np.float64]:
    enroll = {each: sum(seconds[one] for one in trials.enroll_utterances(each)) for each in {*trials.enroll_ids}}
    sides = zip(trials.enroll_ids, trials.test_ids, strict=True)
    return np.array([min(enroll[enroll_id], seconds[test_id]) for enroll_id, test_id in sides])
