"""Find clipped audio: samples that stay at one highest value, in front of a codec or behind it.

Clipped integers that nothing has changed since stay at exactly one value for several samples. A codec or a resampler
makes ripples of that. What remains of heavy clipping is a low crest of the whole and the flat shape of its loud frames,
both near 1 for a square wave.
"""

import numpy as np
from numpy.typing import NDArray

STEP = 2 / 32768  # samples that differ by less are equal: dither of 16 bits
RUN = 3  # equal samples one after the other
LEAST_RUNS = 4  # in one part
LEAST_SHARE = 4e-4  # of the samples, at one limit; decoded AAC that was written as 16 bits has less
LEAST_PEAK = 0.01  # of full scale; below it, sound has few steps
FRAME_SAMPLES = 512
LEAST_FRAMES = 8  # in the loudest third
HIGHEST_CREST = 3.2  # peak over root mean square; only then are frames looked at
EXCEEDING = FRAME_SAMPLES // 20
FLAT = 4.5  # crest times the magnitude that 5 % of a loud frame exceed over the frame's root mean square
NEAR = 0.9


def clipped_samples(part: NDArray[np.float32], highest: float, lowest: float, rms: float) -> int:
    """Return how many samples are at the limits; 0 if the waveform is not clipped.

    Args:
        part: Waveform (samples,).
        highest: Its highest sample.
        lowest: Its lowest sample.
        rms: Its root mean square without the mean.
    """
    if highest - lowest < 2 * LEAST_PEAK:
        return 0
    count = _at_limit(part >= highest - STEP) + _at_limit(part <= lowest + STEP)
    crest = (highest - lowest) / 2 / max(rms, 1e-9)
    return _in_flat_frames(part - part.mean(), crest) if not count and crest < HIGHEST_CREST else count


def _at_limit(at: NDArray[np.bool_]) -> int:
    """Return the samples at a limit if enough of them come in runs."""
    count = int(np.count_nonzero(at))
    if count < max(RUN * LEAST_RUNS, LEAST_SHARE * len(at)):
        return 0
    (places,) = np.nonzero(at)
    (ends,) = np.nonzero(np.diff(places, append=len(at) + 1) != 1)
    runs = np.diff(ends, prepend=-1)
    return count if np.count_nonzero(runs >= RUN) >= LEAST_RUNS else 0


def _in_flat_frames(centred: NDArray[np.float32], crest: float) -> int:
    """Return the samples near the limits if the loud frames are flat."""
    n_frames = len(centred) // FRAME_SAMPLES
    if n_frames < 3 * LEAST_FRAMES:
        return 0
    frames = centred[: n_frames * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    powers = np.einsum("ij,ij->i", frames, frames) / FRAME_SAMPLES
    loudest = np.argpartition(powers, n_frames - n_frames // 3)[-(n_frames // 3) :]
    magnitudes = np.abs(frames[loudest])
    exceeded = np.partition(magnitudes, -EXCEEDING, axis=1)[:, -EXCEEDING]
    if crest * np.median(exceeded / np.sqrt(powers[loudest])) > FLAT:
        return 0
    return int(np.count_nonzero(magnitudes > NEAR * np.median(exceeded)))
