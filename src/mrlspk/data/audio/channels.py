"""Mix channels, and tell recordings whose channels differ, or cancel each other in the mix."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import Channel
from mrlspk.errors import DataError

CHANNELS_DIFFER = "channels differ"
CHANNELS_CANCEL = "channels cancel"
FRAME_SECONDS = 0.05
LEAST_FRAMES = 20
MOST_CHANNELS = 16
LOWEST_LEVEL = 10 ** (-30 / 20)
LOWEST_CORRELATION = 0.5
LOWEST_MIX = 0.1


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
    """Level of each channel of a recording and how they go together, added up block after block.

    Args:
        sample_rate: Hz of the blocks.
    """

    def __init__(self, sample_rate: int) -> None:
        self._frame = max(round(FRAME_SECONDS * sample_rate), 1)
        self._rest: NDArray[np.float32] | None = None
        self._products: NDArray[np.float64] | None = None
        self._envelopes: list[NDArray[np.float32]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Take in the next block (frames, channels)."""

    def warnings(self) -> tuple[str, ...]:
        """Return `CHANNELS_DIFFER` or `CHANNELS_CANCEL` where one of them holds."""
        return ()
