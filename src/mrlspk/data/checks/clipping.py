"""Find clipped audio: samples that stay at one highest value, in front of a codec or behind it.

Clipped integers that nothing has changed since stay at exactly one value for several samples. A codec or a resampler
makes ripples of that. What remains of heavy clipping is the flat shape of loud frames, close to that of a square wave.
"""

import numpy as np
from numpy.typing import NDArray

STEP = 2 / 32768  # samples that differ by less are equal: dither of 16 bits
RUN = 3  # equal samples one after the other
LEAST_RUNS = 4  # in one part
LEAST_PEAK = 0.01  # of full scale; below it, sound has few steps
FRAME_SAMPLES = 512
LEAST_FRAMES = 8  # in the loudest third
HIGHEST_CREST = 6.0  # peak over root mean square; with more, loud frames are not flat
FLAT = 1.5  # magnitude that 5 % of a frame's samples exceed, over its root mean square: 1 for a square wave
EXCEEDING = FRAME_SAMPLES // 20
NEAR = 0.9


def clipped_samples(part: NDArray[np.float32]) -> int:
    """Return how many samples of a waveform (samples,) are at its limits; 0 if it is not clipped."""
    highest, lowest = float(part.max()), float(part.min())
    if highest - lowest < 2 * LEAST_PEAK:
        return 0
    count = _at_limit(part >= highest - STEP) + _at_limit(part <= lowest + STEP)
    return count or _in_flat_frames(part, highest, lowest)


def _at_limit(at: NDArray[np.bool_]) -> int:
    """Return the samples at a limit if enough of them come in runs."""
    (places,) = np.nonzero(at)
    if len(places) < RUN * LEAST_RUNS:
        return 0
    (ends,) = np.nonzero(np.diff(places, append=len(at) + 1) != 1)
    runs = np.diff(ends, prepend=-1)
    return len(places) if np.count_nonzero(runs >= RUN) >= LEAST_RUNS else 0


def _in_flat_frames(part: NDArray[np.float32], highest: float, lowest: float) -> int:
    """Return the samples near the limits if the loud frames are flat."""
    n_frames = len(part) // FRAME_SAMPLES
    frames = part[: n_frames * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    mean = part.mean()
    powers = np.einsum("ij,ij->i", frames, frames) / FRAME_SAMPLES - mean**2
    if n_frames < 3 * LEAST_FRAMES or (highest - lowest) / 2 > HIGHEST_CREST * np.sqrt(max(powers.mean(), 0)):
        return 0
    loudest = np.argpartition(powers, n_frames - n_frames // 3)[-(n_frames // 3) :]
    magnitudes = np.abs(frames[loudest] - mean)
    exceeded = np.partition(magnitudes, -EXCEEDING, axis=1)[:, -EXCEEDING]
    if np.median(exceeded / np.sqrt(powers[loudest])) > FLAT:
        return 0
    return int(np.count_nonzero(magnitudes > NEAR * np.median(exceeded)))
