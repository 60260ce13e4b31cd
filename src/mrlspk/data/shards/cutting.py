"""Cut a segment, or one channel, out of a longer recording, as FLAC at its own sample rate."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from mrlspk.data.audio.channels import check_channel, take_channel
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.source import AudioSource, Channel
from mrlspk.errors import DataError
from mrlspk.reading import reading

FLAC = ".flac"
MOST_CHANNELS = 8  # of FLAC
INT16 = 1 << 15


@dataclass(frozen=True)
class EncodedAudio(AudioSource):
    """Encoded audio in memory.

    Args:
        name: Of the recording, for messages.
        content: Its bytes.
        file_suffix: Of its file, in lower case.
    """

    name: str
    content: bytes
    file_suffix: str

    def __str__(self) -> str:
        return self.name

    def open(self) -> io.BytesIO:
        """Open the audio."""
        return io.BytesIO(self.content)

    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.content)

    @property
    def suffix(self) -> str:
        """Suffix of its file in lower case."""
        return self.file_suffix


def read_encoded(source: AudioSource) -> EncodedAudio:
    """Return the bytes of a recording unchanged, or those of a part of it cut out as FLAC.

    Raises:
        DataError: If it cannot be read.
    """
    if is_part(source):
        return cut_segment(source)
    with reading(str(source), DataError, "Check the path."), source.open() as file:
        return EncodedAudio(str(source), file.read(), source.suffix)


def is_part(source: AudioSource) -> bool:
    """Return whether a source is a range or one channel of its recording."""
    return bool(source.start_seconds) or source.seconds is not None or source.channel != "mix"


def cut_segment(source: AudioSource) -> EncodedAudio:
    """Return the samples of a part of a recording; 16 bits where they hold them exactly, else 24.

    Raises:
        DataError: If the recording cannot be read, has no such channel or ends before the part begins.
    """
    stream = open_stream(source)
    try:
        check_channel(source.channel, stream.channels, str(source))
        rate = stream.sample_rate
        start = round(source.start_seconds * rate)
        stop = None if source.seconds is None else round((source.start_seconds + source.seconds) * rate)
        parts = [_kept(block, source.channel) for block in _until(stream.blocks(start), start, stop)]
    finally:
        stream.close()
    if not parts:
        what = f"expected audio at {source.start_seconds:.2f} s, got none"
        raise DataError(what, str(source), "Correct the beginning of the segment.")
    return EncodedAudio(str(source), _encode(np.concatenate(parts), rate, str(source)), FLAC)


def _until(blocks: Iterator[NDArray[np.float32]], position: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (frames, channels), the first of which begins at ``position``, up to frame ``stop``."""
    for block in blocks:
        yield block if stop is None else block[: stop - position]
        position += len(block)
        if stop is not None and position >= stop:
            return


def _kept(block: NDArray[np.float32], channel: Channel) -> NDArray[np.float32]:
    """Return the channels to keep (frames, channels): the chosen one, or all if they fit into FLAC, else their mix."""
    if channel == "mix" and block.shape[1] <= MOST_CHANNELS:
        return block
    return take_channel(block, channel)[:, None]


def _encode(samples: NDArray[np.float32], rate: int, where: str) -> bytes:
    scaled = samples * INT16
    is_short = bool(np.all(scaled == np.rint(scaled)) and scaled.min() >= -INT16 and scaled.max() < INT16)
    encoded = io.BytesIO()
    try:
        soundfile.write(encoded, samples, rate, format="FLAC", subtype="PCM_16" if is_short else "PCM_24")
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise DataError(
            f"cannot be cut out as FLAC: {reason}", where, "Convert the recording, e.g. to 16 kHz."
        ) from error
    return encoded.getvalue()
