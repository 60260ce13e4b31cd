"""Mix channels, and tell recordings whose channels differ, or cancel each other in the mix."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import Channel
from mrlspk.errors import DataError

CHANNELS_DIFFER = "channels differ"
CHANNELS_CANCEL = "channels cancel"
FRAME_SECONDS = 0.1
LEAST_FRAMES = 20  # loud ones; fewer tell nothing
MOST_CHANNELS = 16  # compared with each other
HEARD = 10 ** (-15 / 20)  # of the loudest channel; a weaker one has to vary as speech does: it may be the line's noise
BARELY_HEARD = 10 ** (-30 / 20)
VARIED = 0.3  # standard deviation of the loudness over its mean; white noise has 0.02, speech about 1
LOUD = 0.3  # of the root mean square
ALIKE_SAMPLES = 0.8  # correlation; a leak of -10 dB from each channel to the other makes 0.55
ALIKE_LOUDNESS = 0.5
WEAKEST_MIX = 0.1  # of the power


def take_channel(block: NDArray[np.float32], channel: Channel) -> NDArray[np.float32]:
    """Return one channel of ``block`` (frames, channels), or the average of all."""
    if channel != "mix":
        return block[:, channel]
    if block.shape[1] == 1:
        return block[:, 0]
    mix = block[:, 0].copy()
    for number in range(1, block.shape[1]):
        mix += block[:, number]
    mix /= block.shape[1]
    return mix


def check_channel(channel: Channel, n_channels: int, where: str) -> None:
    """Refuse a channel that a recording does not have.

    Raises:
        DataError: If ``channel`` is a number and there are not that many channels.
    """
    if channel != "mix" and not 0 <= channel < n_channels:
        count = "1 channel" if n_channels == 1 else f"{n_channels} channels"
        what = f"expected a channel {channel}, counted from 0, got a recording of {count}"
        raise DataError(what, where, "Choose a channel that it has, or `channel=mix`.")


class ChannelFacts:
    """Levels of the channels of a recording and how they go together, added up block after block.

    Channels *differ* if two that both have signal correlate neither sample by sample nor in their loudness: one talker
    on each, or one party of a call. A delay or another room leaves the loudness alike. Channels *cancel* if their
    average is far weaker than that of unrelated channels would be: one is the other upside down.

    Args:
        sample_rate: Hz of the blocks.
    """

    def __init__(self, sample_rate: int) -> None:
        self._frame = max(round(FRAME_SECONDS * sample_rate), 1)
        self._rest = np.empty((0, 0))
        self._n, self._sum, self._products = 0, np.zeros(1), np.zeros((1, 1))
        self._loudness: list[NDArray[np.float64]] = []  # (frames, channels): three hours of stereo are 4 MB

    def add(self, block: NDArray[np.float32]) -> None:
        """Take in the next block (frames, channels)."""
        samples = block[:, :MOST_CHANNELS].astype(np.float64)
        self._n += len(samples)
        self._sum = self._sum + samples.sum(axis=0)
        self._products = self._products + samples.T @ samples
        samples = np.concatenate([self._rest, samples]) if self._rest.size else samples
        n_whole = len(samples) // self._frame * self._frame
        self._rest = samples[n_whole:]
        self._loudness.append(samples[:n_whole].reshape(-1, self._frame, samples.shape[1]).std(axis=1))

    def warnings(self) -> tuple[str, ...]:
        """Return `CHANNELS_DIFFER` or `CHANNELS_CANCEL` where one of them holds."""
        if not self._n or len(self._sum) == 1:
            return ()
        mean = self._sum / self._n
        covariance = self._products / self._n - np.outer(mean, mean)
        found = {CHANNELS_DIFFER: self._differ(covariance), CHANNELS_CANCEL: _cancel(covariance)}
        return tuple(name for name, holds in found.items() if holds)

    def _differ(self, covariance: NDArray[np.float64]) -> bool:
        levels, loudness = np.sqrt(np.diag(covariance).clip(min=0)), np.concatenate(self._loudness)
        is_varied = loudness.std(axis=0) > VARIED * loudness.mean(axis=0)
        is_heard = (levels > HEARD * levels.max()) | (is_varied & (levels > BARELY_HEARD * levels.max()))
        (heard,) = np.nonzero(is_heard)
        loudness = _where_loud(loudness[:, heard])
        if len(heard) < 2 or len(loudness) < LEAST_FRAMES:
            return False
        by_sample = np.abs(covariance[np.ix_(heard, heard)]) / np.outer(levels[heard], levels[heard])
        with np.errstate(invalid="ignore", divide="ignore"):  # a channel of constant loudness is like no other
            by_loudness = np.corrcoef(loudness, rowvar=False)
        return bool(np.any((by_sample < ALIKE_SAMPLES) & ~(by_loudness >= ALIKE_LOUDNESS)))


def _where_loud(loudness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frames in which some channel is about as loud as it is on average.

    Silence around two talkers would make their loudness alike.
    """
    typical = np.sqrt(np.mean(loudness**2, axis=0))
    return loudness[(loudness > LOUD * typical).any(axis=1)]


def _cancel(covariance: NDArray[np.float64]) -> bool:
    """Return whether the average of all channels is weaker than that of unrelated channels of their levels."""
    return bool(covariance.sum() < WEAKEST_MIX * np.trace(covariance))
