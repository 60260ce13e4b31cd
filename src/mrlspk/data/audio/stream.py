"""The protocol of open encoded audio: the border between the decoders and the code that reads waveforms."""

from collections.abc import Iterator
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.completeness import COPY_AGAIN
from mrlspk.data.audio.source import AudioSource
from mrlspk.errors import DataError

BLOCK_SAMPLES = 1 << 15  # of all channels together
LARGEST_RANGE = 1 << 19  # samples of a range that is read at once; 32 s at 16 kHz


def frames_at_once(start: int, stop: int | None, channels: int) -> int | None:
    """Return the frames of a range that is short enough to be one block; None for any other."""
    n_wanted = 0 if stop is None else stop - start
    return n_wanted if 0 < n_wanted * channels <= LARGEST_RANGE else None


def block_frames(start: int, stop: int | None, channels: int) -> int:
    """Return how many frames to read at once: all of a short range, else some seconds."""
    return frames_at_once(start, stop, channels) or max(BLOCK_SAMPLES // channels, 1)


class AudioStream(Protocol):
    """Open encoded audio; a frame is one sample of every channel.

    Attributes:
        sample_rate: Hz of the decoded samples, whatever a header says.
        channels: Of the decoded samples.
        n_frames: As the container states it exactly; None if it does not.
        container: libsndfile's or FFmpeg's name of the format.
        codec: FFmpeg's name, of PCM without the order of bytes.
    """

    sample_rate: int
    channels: int
    n_frames: int | None
    container: str
    codec: str

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield (frames, channels), about a second each, from frame ``start`` to the end.

        The samples are those of a slice of the whole, up to what the codec itself leaves open.

        Args:
            start: First frame.
            stop: Frame behind the last that is wanted, so that a short range is one block; more may come all the same.

        Raises:
            DataError: If the audio ends before its container says it does, or cannot be decoded.
        """
        ...

    def count_frames(self) -> int:
        """Return the exact number of frames: as stated, or by reading on to the end.

        Raises:
            DataError: If the audio cannot be read.
        """
        ...

    @property
    def damage(self) -> str | None:
        """What was left out of the blocks read so far, in a few words; None if nothing was."""
        ...

    def close(self) -> None:
        """Close the audio."""
        ...


class UndecodableError(DataError):
    """Audio that one decoder cannot read at all; another one may.

    Args:
        source: The audio.
        reason: What the decoder says.
    """

    def __init__(self, source: AudioSource, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"cannot be decoded as {source.suffix} audio ({reason})", str(source), COPY_AGAIN)

    def __reduce__(self) -> tuple[type[Self], tuple[AudioSource, str]]:  # workers send it to the process that reads it
        return type(self), (self.source, self.reason)
