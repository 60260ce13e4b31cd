"""Read 16-bit PCM from WAV files without a decoder: a crop of a long file costs no more than its own bytes."""

from collections.abc import Iterator
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.completeness import COPY_AGAIN, SampleBytes
from mrlspk.data.audio.plain_headers import HEAD_BYTES, Stated, parse_wav
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import AudioStream, block_frames
from mrlspk.errors import DataError
from mrlspk.reading import reading

CODEC = "pcm_s16"
FULL_SCALE = np.float32(2**-15)  # a power of two: the samples are those of libsndfile, bit for bit


class PcmStream(AudioStream):
    """The samples of a WAV file.

    Args:
        source: The file.
        file: The same, open; it is closed with the stream.
        stated: What its header states.
        begin: Position of the first sample.
    """

    def __init__(self, source: AudioSource, file: BinaryIO, stated: Stated, begin: int) -> None:
        self._source, self._file, self._begin = source, file, begin
        self.sample_rate, self.channels = stated.sample_rate, stated.channels
        self.container, self.codec = stated.format, stated.codec
        self.n_frames: int | None = stated.n_frames
        self._n_frames = stated.n_frames

    @classmethod
    def of(cls, source: AudioSource, file: BinaryIO, samples: SampleBytes, size: int) -> Self | None:
        """Return the stream of an open WAV file; None if it is not of the usual form, or has other samples.

        Raises:
            OSError: If the file cannot be read.
        """
        file.seek(0)
        head = file.read(HEAD_BYTES)
        stated = parse_wav(head, size) if head[:4] == b"RIFF" else None
        return None if stated is None or stated.codec != CODEC else cls(source, file, stated, samples.begin)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield (frames, channels) from frame ``start`` on.

        Raises:
            DataError: If the file has become shorter.
        """
        end = self._n_frames if stop is None else min(stop, self._n_frames)
        size = block_frames(start, stop, self.channels)
        for position in range(start, end, size):
            yield self._read(position, min(size, end - position))

    def count_frames(self) -> int:
        """Return the number of frames."""
        return self._n_frames

    @property
    def damage(self) -> str | None:
        """None: a damaged header is read by libsndfile."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, position: int, count: int) -> NDArray[np.float32]:
        integers = np.empty((count, self.channels), "<i2")
        with reading(str(self._source), DataError):
            self._file.seek(self._begin + 2 * self.channels * position)
            n_bytes = self._file.readinto(integers.data)  # type: ignore[attr-defined]
        if n_bytes != integers.nbytes:
            found = position + n_bytes // (2 * self.channels)
            raise DataError(f"cut short: expected {self._n_frames} samples, got {found}", str(self._source), COPY_AGAIN)
        return np.multiply(integers, FULL_SCALE, dtype=np.float32)
