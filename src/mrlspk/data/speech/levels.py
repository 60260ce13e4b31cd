"""Measure the level of a recording: one energy per frame of 10 ms, in the band of speech."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples from one frame to the next
FRAMES_PER_SECOND = SAMPLE_RATE // HOP

FRAME = 512  # samples that a frame looks at: its own hop in the middle
BATCH = 100  # frames transformed together
LOWEST_HZ, HIGHEST_HZ = 250, 4000  # below are mains hum and rumble, above is hiss; telephones transmit this band
SILENCE_DB = -120.0  # of full scale: no lower energy is told apart

LEVEL_FRAMES = 100  # the level of a recording is what so many frames reach: no click or cough sets it
LEVEL_SHARE = 0.1  # … or this share of them, in a short recording

_BAND = slice(LOWEST_HZ * FRAME // SAMPLE_RATE, HIGHEST_HZ * FRAME // SAMPLE_RATE + 1)
_WINDOW = np.hanning(FRAME + 1)[:-1].astype(np.float32)
_SCALE = 2 / (FRAME * np.square(_WINDOW, dtype=np.float64).sum())  # power of the spectrum to mean square of samples


class LevelMeter:
    """The energies of one recording, measured block after block; the same however it is cut into blocks."""

    def __init__(self) -> None:
        self.n_samples = 0
        self._rest = np.zeros((FRAME - HOP) // 2, np.float32)  # silence before the first sample
        self._energies: list[NDArray[np.float32]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next samples (samples,)."""
        self.n_samples += len(block)
        samples = np.concatenate((self._rest, block))
        length, step = (BATCH - 1) * HOP + FRAME, BATCH * HOP
        first = 0
        while first + length <= len(samples):  # always the same batches, so that rounding is the same too
            self._energies.append(frame_energies(samples[first : first + length]))
            first += step
        self._rest = samples[first:].copy()

    def energies(self) -> NDArray[np.float32]:
        """Return the energy of each frame so far in dB of full scale (frames,), as if silence followed."""
        n_left = -(-self.n_samples // HOP) - BATCH * len(self._energies)
        if n_left <= 0:
            return np.concatenate(self._energies) if self._energies else np.zeros(0, np.float32)
        samples = np.pad(self._rest, (0, (n_left - 1) * HOP + FRAME))
        return np.concatenate([*self._energies, frame_energies(samples[: (n_left - 1) * HOP + FRAME])])


def frame_energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the energy of each frame within (samples,): mean square in the band, in dB of full scale (frames,)."""
    spectrum = np.fft.rfft(sliding_window_view(samples, FRAME)[::HOP] * _WINDOW, axis=1)[:, _BAND]
    power = _SCALE * (spectrum.real**2 + spectrum.imag**2).sum(axis=1, dtype=np.float64)
    decibels: NDArray[np.float32] = (10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))).astype(np.float32)
    return decibels


def recording_level(energies: NDArray[np.float32]) -> float:
    """Return the energy in dB that the loudest second of (frames,) reaches, or the loudest tenth of fewer frames.

    Without frames it is -inf.
    """
    if not len(energies):
        return -np.inf
    rank = min(LEVEL_FRAMES, 1 + round(LEVEL_SHARE * len(energies)))
    return float(np.partition(energies, -rank)[-rank])
