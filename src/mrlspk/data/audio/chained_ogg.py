"""Read a chained Ogg file, link by link, as one recording."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.joined_parts import JoinedParts
from mrlspk.data.audio.stream import AudioStream


class ChainedStream(AudioStream):
    """Recordings one after the other, at the rate and with the channels of the first.

    Args:
        parts: Open one recording each.
    """

    def __init__(self, parts: Sequence[Callable[[], AudioStream]]) -> None:
        self._parts = parts
        first = parts[0]()
        self.sample_rate, self.channels = first.sample_rate, first.channels
        self.container, self.codec = first.container, first.codec
        self.n_frames: int | None = None
        self._damages: dict[int, str] = {}
        first.close()

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.float32]]:  # noqa: ARG002
        """Yield (frames, channels) from frame ``start`` to the end of the last part."""
        position = 0
        for number, open_part in enumerate(self._parts):
            part = open_part()
            try:
                length = self._length(part) if start > position else None
                if length is None or position + length > start:
                    yield from self._converted(part, max(start - position, 0))
                position += length or 0
                if part.damage is not None:
                    self._damages[number] = part.damage
            finally:
                part.close()

    def count_frames(self) -> int:
        """Return the sum of the parts' frames."""
        if self.n_frames is None:
            self.n_frames = 0
            for open_part in self._parts:
                part = open_part()
                try:
                    self.n_frames += self._length(part)
                finally:
                    part.close()
        return self.n_frames

    @property
    def damage(self) -> str | None:
        """What the parts tell."""
        return "; ".join(self._damages.values()) or None

    def close(self) -> None:
        """Do nothing: parts are open while they are read."""

    def _length(self, part: AudioStream) -> int:
        return round(part.count_frames() * self.sample_rate / part.sample_rate)

    def _converted(self, part: AudioStream, start: int) -> Iterator[NDArray[np.float32]]:
        """Yield a part from ``start`` on, which is counted at the rate of the first part."""
        joined = JoinedParts(self.sample_rate, self.channels)
        is_same_rate = part.sample_rate == self.sample_rate
        to_skip = 0 if is_same_rate else start
        for block in part.blocks(start if is_same_rate else 0):
            for samples in joined.add(block, part.sample_rate):
                if len(samples) > to_skip:
                    yield samples[to_skip:]
                to_skip = max(to_skip - len(samples), 0)
        for samples in joined.finish():
            if len(samples) > to_skip:
                yield samples[to_skip:]
