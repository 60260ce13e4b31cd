"""Decode short ranges of MPEG-4 files with AAC-LC packet by packet, without opening a demuxer.

To open one takes longer than to decode three seconds. What is not of the usual form is left to FFmpeg's.
"""

from collections.abc import Iterator
from typing import BinaryIO, Self

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from mrlspk.data.audio.ffmpeg import FFmpegStream
from mrlspk.data.audio.ffmpeg_pass import AAC_LC_FRAMES, AAC_LC_PREROLL, as_float
from mrlspk.data.audio.mp4_packets import PacketTable, parse_packets
from mrlspk.data.audio.open_file import OpenFile
from mrlspk.data.audio.plain_headers import HEAD_BYTES
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import AudioStream, frames_at_once
from mrlspk.errors import DataError
from mrlspk.reading import reading

DEMUXER = "mov"  # FFmpeg's
MOST_SPREAD = 4  # bytes to read for each byte that is wanted, if something lies between the packets


class AacRanges(AudioStream):
    """The audio of a file; short ranges are decoded here, everything else by FFmpeg.

    Each range has a decoder of its own: noise substitution draws random numbers, which must not depend on earlier
    ranges.

    Args:
        source: The file.
        file: The same, open; it is closed with the stream.
        table: Its packets.
    """

    def __init__(self, source: AudioSource, file: OpenFile, table: PacketTable) -> None:
        self._source, self._file, self._table = source, file, table
        self.sample_rate, self.channels = table.stated.sample_rate, table.stated.channels
        self.container, self.codec = table.stated.format, table.stated.codec
        self.n_frames: int | None = table.stated.n_frames
        self._n_frames = table.stated.n_frames
        self._whole: FFmpegStream | None = None

    @classmethod
    def of(cls, source: AudioSource, file: BinaryIO, size: int) -> Self | None:
        """Return the stream of an open file; None if it is of another form.

        Raises:
            OSError: If the file cannot be read.
        """
        encoded = OpenFile(file, size)
        try:
            table = parse_packets(encoded, encoded.at(0, HEAD_BYTES))
        except (ValueError, IndexError):  # FFmpeg tells what is wrong
            return None
        return None if table is None else cls(source, encoded, table)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield (frames, channels) from frame ``start`` on: a short range at once.

        Raises:
            DataError: If the audio cannot be decoded.
        """
        end = self._n_frames if stop is None else min(stop, self._n_frames)
        if frames_at_once(start, end, self.channels):
            block = self._decode(start, end)
            if block is not None:
                yield block
                return
        if self._whole is None:
            self._whole = FFmpegStream(self._source, demuxer=DEMUXER)
        yield from self._whole.blocks(start, stop)

    def count_frames(self) -> int:
        """Return the number of frames."""
        return self._n_frames

    @property
    def damage(self) -> str | None:
        """What FFmpeg's stream tells."""
        return None if self._whole is None else self._whole.damage

    def close(self) -> None:
        """Close the file."""
        self._file.file.close()
        if self._whole is not None:
            self._whole.close()

    def _decode(self, start: int, stop: int) -> NDArray[np.float32] | None:
        """Return the frames of a range; None if a packet of it is not as the header says."""
        begin, end = start + self._table.delay, stop + self._table.delay
        first = max(begin - AAC_LC_PREROLL, 0) // AAC_LC_FRAMES
        packets = self._read(first, -(-end // AAC_LC_FRAMES))
        decoder = self._new_decoder()
        parts = []
        try:
            for packet in packets:
                (frame,) = decoder.decode(Packet(packet))
                if not self._is_whole(frame):
                    return None
                parts.append(as_float(frame))
        except (FFmpegError, ValueError):  # ValueError: none or two frames
            return None
        if not parts:
            return None
        skipped = begin - first * AAC_LC_FRAMES
        block: NDArray[np.float32] = np.concatenate(parts)[skipped : skipped + stop - start]
        return block if len(block) == stop - start else None

    def _is_whole(self, frame: AudioFrame) -> bool:
        found = frame.samples, frame.sample_rate, frame.layout.nb_channels
        return found == (AAC_LC_FRAMES, self.sample_rate, self.channels)

    def _new_decoder(self) -> AudioCodecContext:
        decoder = CodecContext.create("aac", "r")
        assert isinstance(decoder, AudioCodecContext)
        decoder.extradata, decoder.thread_count = self._table.config, 1
        return decoder

    def _read(self, first: int, end: int) -> list[bytes]:
        """Return packets from the first on.

        Raises:
            DataError: If the file cannot be read.
        """
        offsets, sizes = self._table.offsets[first:end], self._table.sizes[first:end]
        if not len(sizes):
            return []
        begin = int(offsets.min())
        span = int((offsets + sizes).max()) - begin
        with reading(str(self._source), DataError):
            if span > MOST_SPREAD * int(sizes.sum()):
                return [self._file.at(*each) for each in zip(offsets.tolist(), sizes.tolist(), strict=True)]
            content = self._file.at(begin, span)
        places = zip((offsets - begin).tolist(), sizes.tolist(), strict=True)
        return [content[place : place + size] for place, size in places]
