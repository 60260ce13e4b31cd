"""Cosine scores of trials, at one width or at every prefix width in one pass."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError

# Trials scored at a time: the gathered vectors of 192 values in float64 then take about 25 MB.
TRIALS_PER_CHUNK = 8192


def cosine_scores(enroll: NDArray[np.floating], test: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine, in [-1, 1], of each row of ``enroll`` (trials, dim) with that row of ``test`` (trials, dim).

    Raises:
        MetricError: If the shapes differ, or a row is zero or not finite.
    """
    if enroll.ndim != 2 or enroll.shape != test.shape:
        raise MetricError(f"expected two arrays (trials, dim), got {enroll.shape} and {test.shape}")
    rows = np.arange(len(enroll))
    return prefix_cosine_scores(np.concatenate([enroll, test]), rows, rows + len(rows), enroll.shape[1:])[:, 0]


def prefix_cosine_scores(
    embeddings: NDArray[np.floating], enroll: NDArray[np.integer], test: NDArray[np.integer], dims: Sequence[int]
) -> NDArray[np.float64]:
    """Return the cosine of every trial at every width, (trials, len(dims)), in [-1, 1].

    Each prefix is cut first and brought to unit length then. The products between two widths are added up once and
    serve every wider prefix.

    Args:
        embeddings: (utterances, embed_dim), of any length.
        enroll: (trials,), row of the enrolment utterance.
        test: (trials,), row of the test utterance.
        dims: Prefix widths, rising.

    Raises:
        MetricError: If the widths do not rise within embed_dim, or a prefix is zero or not finite.
    """
    embed_dim = embeddings.shape[1]
    if not dims or list(dims) != sorted(set(dims)) or dims[0] < 1 or dims[-1] > embed_dim:
        raise MetricError(f"expected rising widths from 1 to {embed_dim}, got {list(dims)}")
    vectors = embeddings[:, : dims[-1]].astype(np.float64)
    lengths = np.sqrt(_prefix_products(vectors, vectors, dims))
    if not (np.isfinite(lengths).all() and lengths.all()):
        row = int(np.argmin(np.isfinite(lengths).all(axis=1) & lengths.all(axis=1)))
        raise MetricError(f"a cosine needs finite vectors other than zero, row {row} is not")
    scores = np.empty((len(enroll), len(dims)))
    for start in range(0, len(enroll), TRIALS_PER_CHUNK):
        chunk = slice(start, start + TRIALS_PER_CHUNK)
        left, right = enroll[chunk], test[chunk]
        scores[chunk] = _prefix_products(vectors[left], vectors[right], dims) / (lengths[left] * lengths[right])
    return np.clip(scores, -1, 1, out=scores)


def _prefix_products(left: NDArray[np.float64], right: NDArray[np.float64], dims: Sequence[int]) -> NDArray[np.float64]:
    """Return the inner product of each pair of rows at every width, (rows, len(dims))."""
    parts = [np.einsum("ij,ij->i", left[:, a:b], right[:, a:b]) for a, b in pairwise([0, *dims])]
    return np.cumsum(np.stack(parts, axis=1), axis=1)
