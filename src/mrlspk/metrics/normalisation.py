"""Normalise scores with a cohort: S-Norm, and AS-Norm with the highest cohort scores of each side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError

# Cohort scores in memory at a time: 32 MB in float32.
SCORES_PER_CHUNK = 8_000_000


@dataclass(frozen=True, eq=False)
class CohortStatistics:
    """Mean and deviation of the cohort scores of each utterance at each width, both (utterances, len(dims))."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def cohort_statistics(
    embeddings: NDArray[np.floating], cohort: NDArray[np.floating], dims: Sequence[int], *, top_n: int | None = None
) -> CohortStatistics:
    """Return the statistics of each utterance's cosines to the cohort, at each prefix width.

    Args:
        embeddings: (utterances, embed_dim), of any length other than zero.
        cohort: (cohort, embed_dim), likewise.
        dims: Prefix widths.
        top_n: Number of highest scores of an utterance that count, for AS-Norm; None for all, for S-Norm.

    Raises:
        MetricError: If the cohort has fewer than ``top_n`` members, or two, or the scores that count are all equal.
    """
    n_counted = len(cohort) if top_n is None else top_n
    if not 2 <= n_counted <= len(cohort):
        raise MetricError(
            f"expected 2 to {len(cohort)} cohort scores per utterance, got {n_counted}",
            fix="Lower `top_n` or use a larger cohort.",
            parameter="top_n",
        )
    mean, deviation = np.empty((2, len(embeddings), len(dims)))
    for column, dim in enumerate(dims):
        members = _unit(cohort[:, :dim]).T
        for start in range(0, len(embeddings), max(1, SCORES_PER_CHUNK // len(cohort))):
            rows = slice(start, start + max(1, SCORES_PER_CHUNK // len(cohort)))
            scores = _unit(embeddings[rows, :dim]) @ members
            if n_counted < len(cohort):
                scores = np.partition(scores, len(cohort) - n_counted, axis=1)[:, -n_counted:]
            mean[rows, column] = scores.mean(axis=1, dtype=np.float64)
            deviation[rows, column] = scores.std(axis=1, dtype=np.float64)
    if not (deviation > 0).all():
        raise MetricError("the cohort scores of an utterance are all equal", fix="Use a more varied cohort.")
    return CohortStatistics(mean, deviation)


def normalise_scores(
    scores: NDArray[np.floating],
    enroll: NDArray[np.integer],
    test: NDArray[np.integer],
    statistics: CohortStatistics,
) -> NDArray[np.float64]:
    """Return the scores as deviations above the cohort's, ((s - m_e) / d_e + (s - m_t) / d_t) / 2 over both sides.

    With statistics of all cohort scores it is S-Norm (Kenny 2010), with those of the highest it is AS-Norm (Cumani et
    al. 2011), each side having its own highest (AS-Norm1 of Matějka et al. 2017).

    Args:
        scores: (trials, len(dims)).
        enroll: (trials,), row of the enrolment utterance in the statistics.
        test: (trials,), row of the test utterance.
        statistics: Of the same widths.
    """
    sides = [(scores - statistics.mean[side]) / statistics.deviation[side] for side in (enroll, test)]
    normalised: NDArray[np.float64] = (sides[0] + sides[1]) / 2
    return normalised


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows of unit length."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise MetricError("a cosine needs finite vectors other than zero")
    return (vectors / lengths).astype(np.float32)
