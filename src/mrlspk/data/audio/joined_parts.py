"""Join parts of different rates and channel counts into audio of the first part's rate and channels."""

import numpy as np
import soxr
from numpy.typing import NDArray

type Samples = NDArray[np.float32]  # (frames, channels)


class JoinedParts:
    """Convert parts that follow each other, block by block; time is that of the parts.

    Args:
        sample_rate: Hz of the result.
        channels: Of the result. Other parts are averaged to one channel, which is copied.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sample_rate, self._channels = sample_rate, channels
        self._resampler: soxr.ResampleStream | None = None
        self._part_rate = sample_rate
        self._taken = self._given = 0  # frames of the present part

    def add(self, samples: Samples, part_rate: int) -> list[Samples]:
        """Return what is ready after a block of the present part, or of the next one if ``part_rate`` differs."""
        ready = self.finish() if part_rate != self._part_rate else []
        if part_rate != self._part_rate:
            self._begin(part_rate)
        samples = _with_channels(samples, self._channels)
        if self._resampler is None:
            return [*ready, samples]
        self._taken += len(samples)
        return [*ready, self._count(self._resampler.resample_chunk(samples))]

    def finish(self) -> list[Samples]:
        """Return the rest of the present part."""
        if self._resampler is None:
            return []
        rest = self._resampler.resample_chunk(np.zeros((0, self._channels), np.float32), last=True)
        left = max(round(self._taken * self._sample_rate / self._part_rate) - self._given, 0)
        missing = max(left - len(rest), 0)
        self._begin(self._sample_rate)
        return [np.pad(rest[:left], ((0, missing), (0, 0)))]

    def _begin(self, part_rate: int) -> None:
        self._part_rate, self._taken, self._given = part_rate, 0, 0
        is_same = part_rate == self._sample_rate
        make = soxr.ResampleStream
        self._resampler = None if is_same else make(part_rate, self._sample_rate, self._channels, dtype="float32")

    def _count(self, samples: Samples) -> Samples:
        self._given += len(samples)
        return samples


def _with_channels(samples: Samples, channels: int) -> Samples:
    """Return (frames, ``channels``): as they are, or the average of all in each."""
    if samples.shape[1] == channels:
        return samples
    return np.repeat(samples.mean(axis=1, keepdims=True), channels, axis=1)
