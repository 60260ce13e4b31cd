"""Measure the level of a waveform in short frames: silence, and a constant offset."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.01
SILENT_LEVEL = 1e-4  # root mean square of a frame; -80 dB of full scale
LEAST_SOUND_SECONDS = 0.1  # above it; a click is no speech
DC_OFFSET = 0.02  # of full scale
DC_SHARE = 0.5  # of the root mean square without it: a fifth of the power


class PartLevels(NamedTuple):
    """Levels of some samples.

    Attributes:
        highest: The highest sample.
        lowest: The lowest sample.
        rms: Root mean square without the mean.
        variances: Of each whole frame.
    """

    highest: float
    lowest: float
    rms: float
    variances: NDArray[np.float32]


@dataclass
class Levels:
    """Levels of a waveform, added up part after part.

    Attributes:
        sample_rate: Hz.
        n_samples: Of all parts.
        highest: The highest sample.
        lowest: The lowest sample.
    """

    sample_rate: int
    n_samples: int = 0
    highest: float = 0.0
    lowest: float = 0.0
    _sum: float = 0.0
    _power: float = 0.0
    _n_frames: int = 0
    _n_loud: int = 0

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return max(round(FRAME_SECONDS * self.sample_rate), 1)

    def add(self, part: NDArray[np.float32]) -> "PartLevels":
        """Take in the next samples; return their own levels."""
        frames = part[: len(part) // self.frame * self.frame].reshape(-1, self.frame)
        sums, powers = frames @ np.ones(self.frame, np.float32), np.einsum("ij,ij->i", frames, frames)
        rest = part[frames.size :]
        total = float(sums.sum(dtype=np.float64)) + float(rest.sum())
        power = float(powers.sum(dtype=np.float64)) + float(rest @ rest)
        variances: NDArray[np.float32] = powers / self.frame - (sums / self.frame) ** 2
        found = PartLevels(float(part.max()), float(part.min()), _rms(total, power, len(part)), variances)
        self.n_samples += len(part)
        self.highest, self.lowest = max(self.highest, found.highest), min(self.lowest, found.lowest)
        self._sum += total
        self._power += power
        self._n_frames += len(frames)
        self._n_loud += int(np.count_nonzero(variances > SILENT_LEVEL**2))
        return found

    @property
    def peak(self) -> float:
        """Largest magnitude."""
        return max(self.highest, -self.lowest)

    @property
    def mean(self) -> float:
        """Constant offset."""
        return self._sum / max(self.n_samples, 1)

    @property
    def rms(self) -> float:
        """Root mean square without the constant offset."""
        return _rms(self._sum, self._power, self.n_samples)

    @property
    def is_silent(self) -> bool:
        """Whether nearly all frames are silent."""
        return self._n_loud < min(LEAST_SOUND_SECONDS / FRAME_SECONDS, max(self._n_frames / 2, 1))

    @property
    def has_offset(self) -> bool:
        """Whether there is a constant offset that matters."""
        return abs(self.mean) > min(DC_OFFSET, DC_SHARE * self.rms) and not self.is_silent


def _rms(total: float, power: float, n_samples: int) -> float:
    """Return the root mean square without the mean."""
    return math.sqrt(max(power / max(n_samples, 1) - (total / max(n_samples, 1)) ** 2, 0.0))
