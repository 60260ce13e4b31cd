"""Average the vectors of the recordings of a voice, weighted by seconds of speech."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError

SHORTEST = 1e-3  # a mean of unit vectors below this length has no direction to speak of


def speech_weights(seconds: Sequence[float | None]) -> NDArray[np.float64]:
    """Return a weight (n,) for each recording: its seconds of speech.

    A recording of unknown length weighs as much as the others do on average; without any length all weigh 1.
    """
    known = [each for each in seconds if each]
    usual = float(np.mean(known)) if known else 1.0
    return np.array([each or usual for each in seconds], np.float64)


def mean_vector(vectors: NDArray[np.float32], weights: NDArray[np.float64], name: str) -> NDArray[np.float32]:
    """Return the mean (dim,) of unit vectors (n, dim) with weights (n,), at unit length.

    Raises:
        DataError: If the vectors cancel each other, so that the mean has no direction; ``name`` is that of the voice.
    """
    if len(vectors) == 1:
        return np.asarray(vectors[0], np.float32)
    mean = weights @ vectors.astype(np.float64) / weights.sum()
    length = np.linalg.norm(mean)
    if length < SHORTEST:
        fix = "Enrol them as voices of their own, or leave one out."
        raise DataError("its recordings point in opposite directions, so they have no mean", name, fix)
    unit: NDArray[np.float32] = (mean / length).astype(np.float32)
    return unit


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (n, dim), none of them zero, at unit length."""
    wide = vectors.astype(np.float64)
    unit: NDArray[np.float32] = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return unit
