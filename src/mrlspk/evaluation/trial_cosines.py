"""Compute the cosine of each trial at each width; average enrolments of several utterances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.metrics.cosine import prefix_cosine_scores

type Vectors = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Voices:
    """Voices of one utterance or of several.

    A voice of several utterances is the mean of their embeddings, each truncated to the width and normalised.

    Attributes:
        vectors: (utterances, embed_dim), of any length, the utterances of a voice next to each other.
        first: (voices,) row of the first utterance of each voice.
    """

    vectors: NDArray[np.floating]
    first: NDArray[np.int64]

    @property
    def single(self) -> bool:
        """Whether every voice is one utterance."""
        return len(self.first) == len(self.vectors)

    def at_width(self, dim: int) -> NDArray[np.floating]:
        """Return each voice at one width, (voices, dim), not of unit length."""
        cut = self.vectors[:, :dim]
        if self.single:
            return cut
        units = cut.astype(np.float64) / np.linalg.norm(cut.astype(np.float64), axis=1, keepdims=True)
        sums: NDArray[np.float64] = np.add.reduceat(units, self.first)
        return sums


@dataclass(frozen=True, eq=False)
class Side(Voices):
    """One side of every trial; ``voices`` (trials,) is the voice of each."""

    voices: NDArray[np.int64]


def join_voices(vectors: Vectors, utterances: Iterable[Sequence[str]]) -> Voices:
    """Return voices from the utterances of each.

    Raises:
        DataError: If an embedding is not finite.
    """
    groups = list(utterances)
    names = [utterance for group in groups for utterance in group]
    matrix = np.stack([vectors[name] for name in names])
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        where = names[int(np.argmin(finite))]
        raise DataError("its embedding is not finite", where, "Check the recording, and the model on others.")
    return Voices(matrix, np.cumsum([0, *(len(group) for group in groups[:-1])]))


def enrolment_side(vectors: Vectors, trials: Trials) -> Side:
    """Return the enrolment side; ``vectors`` holds (embed_dim,) by utterance id.

    Raises:
        DataError: If an embedding is not finite.
    """
    return _side(vectors, trials.enroll_ids, {voice: trials.enroll_utterances(voice) for voice in {*trials.enroll_ids}})


def test_side(vectors: Vectors, trials: Trials) -> Side:
    """Return the test side; ``vectors`` holds (embed_dim,) by utterance id.

    Raises:
        DataError: If an embedding is not finite.
    """
    return _side(vectors, trials.test_ids, {voice: (voice,) for voice in {*trials.test_ids}})


def score_sides(enroll: Side, test: Side, dims: Sequence[int]) -> NDArray[np.float64]:
    """Return the cosine of each trial at each width, (trials, len(dims)).

    Raises:
        MetricError: If the widths do not rise within embed_dim, or a vector is zero at a width.
    """
    if enroll.single and test.single:
        return _cosines(enroll, test, enroll.vectors, test.vectors, dims)
    columns = [_cosines(enroll, test, enroll.at_width(dim), test.at_width(dim), (dim,)) for dim in dims]
    return np.concatenate(columns, axis=1)


def _cosines(
    enroll: Side,
    test: Side,
    enroll_vectors: NDArray[np.floating],
    test_vectors: NDArray[np.floating],
    dims: Sequence[int],
) -> NDArray[np.float64]:
    matrix = np.concatenate([enroll_vectors, test_vectors])
    return prefix_cosine_scores(matrix, enroll.voices, test.voices + len(enroll_vectors), dims)


def _side(vectors: Vectors, voice_of_trial: Sequence[str], utterances: Mapping[str, Sequence[str]]) -> Side:
    index = {voice: number for number, voice in enumerate(sorted(utterances))}
    voices = join_voices(vectors, (utterances[voice] for voice in index))
    return Side(voices.vectors, voices.first, np.array([index[voice] for voice in voice_of_trial]))
