"""Score trials by cosine, at one width or at every prefix width in one pass."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MetricError

# Pairs multiplied at a time: their vectors, of about 192 values, fit in the cache of a core.
PAIRS_PER_CHUNK = 512


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

    Each prefix is truncated first and normalised to unit length then. The products between two widths are summed once
    and reused for every wider prefix.

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
    vectors, every_row = embeddings[:, : dims[-1]], np.arange(len(embeddings))
    lengths = np.sqrt(_prefix_products(vectors, every_row, every_row, dims))
    sound = (np.isfinite(lengths) & (lengths > 0)).all(axis=1)
    if not sound.all():
        raise MetricError(f"a cosine needs finite vectors other than zero, but row {int(np.argmin(sound))} is not one")
    scores = _prefix_products(vectors, enroll, test, dims)
    scores /= lengths[enroll]
    scores /= lengths[test]
    return np.clip(scores, -1, 1, out=scores)


def _prefix_products(
    vectors: NDArray[np.floating], left: NDArray[np.integer], right: NDArray[np.integer], dims: Sequence[int]
) -> NDArray[np.float64]:
    """Return the inner product of each pair of rows at every width, (pairs, len(dims)), summed in float64."""
    products = np.empty((len(left), len(dims)))
    for start in range(0, len(left), PAIRS_PER_CHUNK):
        chunk = slice(start, start + PAIRS_PER_CHUNK)
        terms = np.multiply(vectors[left[chunk]], vectors[right[chunk]], dtype=np.float64)
        np.add.reduceat(terms, [0, *dims[:-1]], axis=1, out=products[chunk])
    return np.cumsum(products, axis=1, out=products)
