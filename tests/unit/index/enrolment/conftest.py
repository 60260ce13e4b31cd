"""Generated recordings of one voice."""

import numpy as np
import pytest

DIM = 64


@pytest.fixture
def recordings_of():
    """Return a function that makes unit vectors of recordings around a voice, in several conditions."""
    rng = np.random.default_rng(5)

    def unit(x):
        return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)

    def make(*counts, spread=0.5, condition=1.2, voice=None):
        centre = unit(rng.standard_normal(DIM)) if voice is None else voice
        parts = []
        for count in counts:
            place = centre + condition * unit(rng.standard_normal(DIM)) * (len(counts) > 1)
            parts.append(unit(place + spread * unit(rng.standard_normal((count, DIM))) * np.linalg.norm(place)))
        return np.concatenate(parts)

    return make


@pytest.fixture
def origin():
    """A centre that changes no cosine."""
    return np.zeros(DIM, np.float32)
