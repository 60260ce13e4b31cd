"""Describe how loudness changes in audio: alike for one recording in any encoding, level and delay, and for no other.

The magnitudes of the slow modulations of the loudness do not depend on a delay; a codec hardly changes them.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.checks.levels import FRAME_SECONDS

N_VALUES = 16
MODULATIONS = np.linspace(0.4, 6.4, N_VALUES)  # Hz: those of syllables and words
LENGTH = 6000  # frames: a minute
RANGE_DB = 35.0  # below the loudest frame; what is weaker may be noise of a codec
LEAST_SECONDS = 0.5  # of audio; less says too little


def fingerprint(variances: NDArray[np.float32], frame_seconds: float = FRAME_SECONDS) -> NDArray[np.float32] | None:
    """Return (N_VALUES,) of unit length for the loudness (frames,) of audio; None for too little of it, or silence."""
    variances = variances[:LENGTH]
    if len(variances) * frame_seconds < LEAST_SECONDS:
        return None
    loudness = 10 * np.log10(np.maximum(variances, np.float32(1e-12)))
    np.maximum(loudness, loudness.max() - np.float32(RANGE_DB), out=loudness)
    loudness -= loudness.mean()
    waves = loudness @ _waves(frame_seconds)[: len(loudness)]
    values: NDArray[np.float32] = np.hypot(waves[:N_VALUES], waves[N_VALUES:])
    norm = math.sqrt(float(values @ values))
    return values / np.float32(norm) if norm > 0 else None


@lru_cache(maxsize=8)
def _waves(frame_seconds: float) -> NDArray[np.float32]:
    """Return a cosine and a sine of each modulation (frames, 2 N_VALUES)."""
    angles = 2 * np.pi * frame_seconds * np.arange(LENGTH)[:, None] * MODULATIONS
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
