"""Read what the header of an audio file states, without decoding and without a decoder where that is exact."""

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from mrlspk.data.audio.formats import recognise
from mrlspk.data.audio.mp4_header import parse_mp4
from mrlspk.data.audio.open_file import Bytes, Descriptor, OpenFile
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.plain_headers import HEAD_BYTES, Stated, parse_flac, parse_wav
from mrlspk.data.audio.resampling import HIGHEST_RATE, LOWEST_RATE
from mrlspk.data.audio.source import AudioSource, FileSource, as_source
from mrlspk.errors import DataError
from mrlspk.reading import reading

MOST_OVERSHOOT_SECONDS = 0.5  # of a segment over the end of its recording; a shorter one is cut


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """What a file states about its audio.

    Attributes:
        format: Of the container, such as ``WAV`` or ``MPEG-4``; for rarer ones FFmpeg's name.
        codec: FFmpeg's name without the order of bytes, such as ``pcm_s16``, ``aac``, ``opus``.
        sample_rate: Hz, of the decoded audio.
        channels: Of the decoded audio.
        n_frames: None if the file does not state it.
        is_exact: Whether ``n_frames`` is what decoding gives.
    """

    format: str
    codec: str
    sample_rate: int
    channels: int
    n_frames: int | None
    is_exact: bool

    @property
    def seconds(self) -> float | None:
        """Length of the audio; None if it is not known."""
        return None if self.n_frames is None else self.n_frames / self.sample_rate


def segment_fault(source: AudioSource, header: AudioHeader) -> str | None:
    """Return why a recording does not have the segment that a source is; None if it has, or its length is not known.

    Kaldi's extract-segments cuts and rejects the same segments (``--max-overshoot``).
    """
    length, start = header.seconds, source.start_seconds
    if length is None or not header.is_exact or (source.seconds is None and not start):
        return None
    end = start + (source.seconds or 0.0)
    if start < length and end - length < MOST_OVERSHOOT_SECONDS:
        return None
    span = f"at {start:.2f} s" if source.seconds is None else f"from {start:.2f} s to {end:.2f} s"
    return f"expected audio {span}, but it ends at {length:.2f} s"


def read_header(audio: AudioSource | str | Path, *, counts: bool = False) -> AudioHeader:
    """Return the header of a whole recording, whatever range or channel of it the source is.

    WAV, FLAC and MPEG-4 with AAC are parsed here if they are of the usual form: that takes a tenth of the time of
    opening a decoder. libsndfile or FFmpeg opens all other audio.

    Args:
        audio: A source or a file.
        counts: Count the packets where the header does not state the exact length, so that it is known.

    Raises:
        DataError: If the audio is absent, empty, cut short or not audio, or its name is not UTF-8.
    """
    source = as_source(audio)
    return parse_header(source) or _open(source, counts=counts)


def parse_header(source: AudioSource) -> AudioHeader | None:
    """Return what a header of a usual form states; None for any other, and for what cannot be read."""
    location = source.location if isinstance(source, FileSource) else source.path
    if location is not None:
        return read_file_header(str(location))[0]
    try:
        with source.open() as file:
            return _parse(OpenFile(file, source.size()))
    except (OSError, ValueError, IndexError):  # `_open` tells what is wrong
        return None


def read_file_header(location: str) -> tuple[AudioHeader | None, int, int]:
    """Return the header of a file of a usual form, its size, and the time of its last change in nanoseconds.

    The header is None for any other form, and for what cannot be read; size and time are 0 if there is no such file.
    """
    header, size, mtime_ns = None, 0, 0
    try:
        location.encode()
        descriptor = os.open(location, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer must not stop us
        try:
            state = os.fstat(descriptor)
            size, mtime_ns = state.st_size, state.st_mtime_ns
            if stat.S_ISREG(state.st_mode):
                header = _parse(Descriptor(descriptor, size))
        finally:
            os.close(descriptor)
    except (OSError, ValueError, IndexError):  # `_open` tells what is wrong
        return None, size, mtime_ns
    return header, size, mtime_ns


def _parse(file: Bytes) -> AudioHeader | None:
    """Return what a header of a usual form states; None for any other.

    Raises:
        OSError: If it cannot be read.
        ValueError: If its parts do not fit.
        IndexError: If it ends within one of them.
    """
    head = file.at(0, HEAD_BYTES)
    stated: Stated | None = None
    if head[:4] == b"RIFF":
        stated = parse_wav(head, file.size)
    elif head[:4] == b"fLaC":
        stated = parse_flac(head, file.size)
    elif head[4:8] == b"ftyp":
        stated = parse_mp4(file, head)
    if stated is None or not LOWEST_RATE <= stated.sample_rate <= HIGHEST_RATE:
        return None
    return AudioHeader(stated.format, stated.codec, stated.sample_rate, stated.channels, stated.n_frames, is_exact=True)


def _open(source: AudioSource, *, counts: bool) -> AudioHeader:
    """Return what a decoder says.

    Raises:
        DataError: As of `read_header`.
    """
    stream = open_stream(source)
    try:
        with reading(str(source), DataError), source.open() as file:
            name = recognise(file) or stream.container
        rate, channels = stream.sample_rate, stream.channels
        header = AudioHeader(name, stream.codec, rate, channels, stream.n_frames, is_exact=stream.n_frames is not None)
        if header.n_frames is None and counts:
            return replace(header, n_frames=stream.count_frames(), is_exact=True)
        return header
    finally:
        stream.close()
