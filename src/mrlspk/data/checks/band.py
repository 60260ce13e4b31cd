"""Find speech of a telephone's band in audio of a higher rate: an edge at 4 kHz, and nothing beyond it.

The consonants of wideband speech are far stronger beyond the edge than what a resampler leaves there. A quiet or
distant microphone has noise there, and a codec's low-pass of 5 kHz or more leaves the band that is looked at.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.032
SAMPLED_FRAMES, FIRST_FRAMES = 24, 8  # of a part, and the loudest of them
CLEARLY_BEYOND = 10 ** (-45 / 10)  # of the power of speech, in two of them: wide
MOST_FRAMES = 64  # of the loudest third, if it is not clear
LEAST_FRAMES = 12
BIN_HZ = 31.25
SPEECH, BEFORE, BEYOND = (300, 3_400), (3_000, 3_750), (4_750, 5_750)  # Hz
NARROW_RATE = 8_000  # Hz, of the speech
LOWEST_RATE = 12_000  # Hz, of audio whose band is looked at
SPAN = 8  # bins: 250 Hz
LEAST_CONTRAST_DB = 106.0  # of the drop across the edge and the distance from speech, together
LEAST_BIT_RATE = 20_000  # bits a second and channel of a lossy codec; with less, encoders leave out what is above 4 kHz
LOSSLESS = "pcm", "flac", "alac"


class Band:
    """Spectra of the loud frames of a waveform, added up part after part.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._frame = round(FRAME_SECONDS * sample_rate)
        self._is_wide = sample_rate < LOWEST_RATE  # nothing to be told of it
        self._rows: list[NDArray[np.float32]] = []  # speech, before, beyond of each frame

    def add(self, part: NDArray[np.float32]) -> None:
        """Take in the next samples; a few frames are enough to see that audio is wide."""
        frames = part[: len(part) // self._frame * self._frame].reshape(-1, self._frame)
        if self._is_wide or not len(frames):
            return
        if self._is_clearly_wide(frames[:: -(-len(frames) // SAMPLED_FRAMES)]):
            self._is_wide = True
            return
        n_loud = -(-len(frames) // 3)
        loudest = _loudest(frames, n_loud)
        self._rows.append(self._look_at(frames[loudest[:: -(-n_loud // MOST_FRAMES)]]))

    def _is_clearly_wide(self, frames: NDArray[np.float32]) -> bool:
        """Return whether two of the loudest of a few frames have much beyond the edge."""
        rows = self._look_at(frames[_loudest(frames, FIRST_FRAMES)])
        return len(rows) > 1 and bool(np.sort(rows[:, 2])[-2] > CLEARLY_BEYOND * rows[:, 0].mean())

    def _look_at(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the power of speech, before the edge and beyond it, for each frame."""
        spectra = np.fft.rfft(frames * _window(self._frame), axis=1)[:, : round(BEYOND[1] / BIN_HZ)]
        powers = spectra.real**2 + spectra.imag**2
        return np.stack([_mean(powers, SPEECH), _highest(powers, BEFORE), _highest(powers, BEYOND)], axis=1)

    def contrast(self) -> float:
        """Return the drop across 4 kHz plus the distance of what is beyond from speech, in dB.

        Each alone is as large in wideband speech: the first in a voice with dull consonants, the second in one that
        falls steeply. It is 0 for wide audio and for too little sound.
        """
        rows = np.concatenate(self._rows) if self._rows and not self._is_wide else np.empty((0, 3))
        if len(rows) < LEAST_FRAMES:
            return 0.0
        before, beyond = np.percentile(rows[:, 1:], 95, axis=0)
        speech_db, before_db, beyond_db = 10 * np.log10(np.maximum([rows[:, 0].mean(), before, beyond], 1e-12))
        return float(before_db + speech_db - 2 * beyond_db)

    @property
    def is_narrow(self) -> bool:
        """Whether the waveform has nothing beyond 4 kHz."""
        return self.contrast() > LEAST_CONTRAST_DB


def is_cut_by_codec(codec: str, bits_per_second: float) -> bool:
    """Return whether a codec of this bit rate, per channel, may have left out the upper band by itself."""
    return not codec.startswith(LOSSLESS) and bits_per_second < LEAST_BIT_RATE


def _loudest(frames: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the places of the loudest frames, in order."""
    energies = np.einsum("ij,ij->i", frames, frames)
    return np.sort(np.argsort(energies)[-count:])


@lru_cache(maxsize=8)
def _window(frame: int) -> NDArray[np.float32]:
    return np.hanning(frame).astype(np.float32)


def _mean(powers: NDArray[np.float32], band: tuple[int, int]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = powers[:, round(band[0] / BIN_HZ) : round(band[1] / BIN_HZ)].mean(axis=1)
    return mean


def _highest(powers: NDArray[np.float32], band: tuple[int, int]) -> NDArray[np.float32]:
    """Return the power of the strongest 250 Hz of a band."""
    within = powers[:, round(band[0] / BIN_HZ) : round(band[1] / BIN_HZ)]
    n_spans = within.shape[1] // SPAN
    spans = within[:, : n_spans * SPAN].reshape(-1, n_spans, SPAN)
    highest: NDArray[np.float32] = spans.mean(axis=2).max(axis=1)
    return highest
