"""Pass speech through the band of a telephone line."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.augmentation.effects import Effects, Samples

LOW, HIGH, NYQUIST = 300.0, 3_400.0, 4_000.0  # Hz; of a line with 8,000 samples a second
ORDER = 16  # of the slopes: -22 dB at 4,000 Hz, -56 dB at 200 Hz
PADDING = 1_600  # samples of silence in which the filter rings out


@dataclass(frozen=True)
class TelephoneBand:
    """Resampling to 8 kHz and a pass band of 300 to 3,400 Hz, without delay."""

    probability: float

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:  # noqa: ARG002
        """Return the effects with the line."""
        return replace(effects, transmissions=(*effects.transmissions, TelephoneLine()))


@dataclass(frozen=True)
class TelephoneLine:
    """A line that passes the band of a telephone."""

    def transmit(self, samples: Samples) -> Samples:
        """Return (samples,) without what lies beyond the band."""
        n_fft = fft.next_fast_len(len(samples) + PADDING, real=True)
        passed: Samples = fft.irfft(fft.rfft(samples, n_fft) * _gains(n_fft), n_fft)[: len(samples)]
        return passed


@lru_cache(maxsize=4)
def _gains(n_fft: int) -> NDArray[np.float32]:
    """Return the gain of each frequency: Butterworth slopes, and nothing that 8,000 samples a second cannot hold."""
    hertz = fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    below = 1 / np.sqrt(1 + (LOW / np.maximum(hertz, 1e-3)) ** (2 * ORDER))
    above = 1 / np.sqrt(1 + (hertz / HIGH) ** (2 * ORDER))
    gains: NDArray[np.float32] = (below * above * (hertz < NYQUIST)).astype(np.float32)
    return gains
