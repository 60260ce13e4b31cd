"""Scores normalised by what each side scores against a cohort."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.cohort import Cohort, NormRequest
from mrlspk.evaluation.embeddings import Embeddings
from mrlspk.evaluation.scoring import Side
from mrlspk.metrics.normalisation import cohort_statistics, normalise_scores


@dataclass(frozen=True)
class ScoreNorm:
    """A normalisation: S-Norm where ``top_n`` is None, else AS-Norm by the ``top_n`` highest cohort scores."""

    cohort: Cohort
    top_n: int | None


def join_cohort(request: NormRequest, embeddings: Embeddings) -> ScoreNorm:
    """Return the normalisation with its cohort's embeddings."""
    return ScoreNorm(request.cohort.embedded(embeddings), request.top_n)


def normalise(
    scores: NDArray[np.float64], enroll: Side, test: Side, dims: Sequence[int], norm: ScoreNorm
) -> NDArray[np.float64]:
    """Return the normalised score of each trial at each width, (trials, len(dims)), as ``scores`` is.

    Raises:
        MetricError: If the cohort has fewer speakers than ``top_n``, or its scores are all equal.
    """
    normalised = np.empty_like(scores)
    rows = len(enroll.first) + test.voices
    for column, dim in enumerate(dims):
        voices = np.concatenate([enroll.at_width(dim), test.at_width(dim)])
        statistics = cohort_statistics(voices, norm.cohort.voices.at_width(dim), (dim,), top_n=norm.top_n)
        normalised[:, column] = normalise_scores(scores[:, [column]], enroll.voices, rows, statistics)[:, 0]
    return normalised
