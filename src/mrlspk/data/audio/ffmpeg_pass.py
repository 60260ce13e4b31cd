"""Decode an open container once, from any frame on, and count its frames."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from numpy.typing import NDArray

from mrlspk.data.audio.ffmpeg_container import Opened
from mrlspk.data.audio.joined_parts import JoinedParts
from mrlspk.data.audio.packet_places import AudioPacket, PacketPlaces, Places, Read, left_out_at_end
from mrlspk.data.audio.stated_length import stated_end

PREROLL_SECONDS = 1.0  # decoded before a range: overlap, bit reservoir, state of the codec
AAC_LC, AAC_LC_FRAMES = "LC", 1024  # prediction over time and doubled rates are of other profiles
AAC_LC_PREROLL = 2 * AAC_LC_FRAMES  # each packet overlaps the one before; the state is then that of the whole file
SPEECH_PREROLL_SECONDS = 3.0  # speech codecs predict each frame from the one before
SPEECH_CODECS = frozenset({"amrnb", "amrwb", "g722", "gsm", "speex"})
FIRST_AMR_PAUSE = {"amrnb": 8, "amrwb": 9}  # frame types from here on hold no speech
BEYOND_THE_END = 10**6  # seconds

type Samples = NDArray[np.float32]  # (frames, channels)


class MisplacedError(Exception):
    """A place that is only known when everything before it is decoded."""


class Pass:
    """One pass through the packets of an open container.

    Attributes:
        sample_rate: Of the first decoded frame.
        channels: Of the first decoded frame.
        position: Number of the next frame that `chunks` gives; below zero, the frame is not part of the audio.
        target: Number of the first frame that is wanted.
        lost: Frames from `target` on that could not be decoded; silence is given in their place.

    Raises:
        EOFError: If it holds no audio.
    """

    def __init__(self, opened: Opened, *, decodes_all: bool = False) -> None:
        self._opened, self.is_closed = opened, False
        self._packets = opened.container.demux(opened.stream)
        self._end = 0
        self._read = self._read_first_frame()
        first = (self._read[-1][1] or [])[0]
        self.sample_rate = first.sample_rate
        self.channels = first.layout.nb_channels
        self.position = self.lost = 0
        self.target = self._missing = 0
        self._joined = JoinedParts(self.sample_rate, self.channels)
        self._places = PacketPlaces(opened, self._read, self.sample_rate)
        if decodes_all:
            self._places.kind = Places.NOTHING
        if self._places.kind is Places.STAMPS and first.pts is not None:
            self.position = self._places.frame_at(first.pts)

    @property
    def container(self) -> str:
        """FFmpeg's name of the format."""
        return self._opened.container.format.name

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec, of PCM without the order of bytes."""
        name = self._opened.stream.codec.canonical_name
        return name.removesuffix("le").removesuffix("be") if name.startswith("pcm_") else name

    def close(self) -> None:
        """Close the container."""
        self.is_closed = True
        self._packets = iter(())  # to read on would crash FFmpeg
        self._opened.container.close()

    def jump(self, target: int) -> None:
        """Go to a frame somewhat before ``target``, if that can be done without decoding.

        Raises:
            MisplacedError: If the pass is now at an unknown place.
            FFmpegError: If the container cannot be read.
        """
        self.target = target
        wanted = target - self._preroll()
        if wanted > 0 and self._places.kind is Places.STAMPS:
            self._seek(wanted)
            if self.position > target:
                raise MisplacedError
        elif wanted > 0 and self._places.kind is Places.SIZES:
            self._drop_until(wanted)

    def _preroll(self) -> int:
        """Return the frames to decode before those that are wanted."""
        codec = self._opened.stream.codec_context
        if (codec.name, codec.profile, self._places.equal_size) == ("aac", AAC_LC, AAC_LC_FRAMES):
            return AAC_LC_PREROLL
        return round((SPEECH_PREROLL_SECONDS if codec.name in SPEECH_CODECS else PREROLL_SECONDS) * self.sample_rate)

    @property
    def end(self) -> float:
        """End of the last packet that was read, in seconds of FFmpeg's time stamps."""
        return self._end * float(self._opened.stream.time_base)

    def stated_end(self, file: BinaryIO) -> float | None:
        """Return where the container says its audio ends, comparable with `end`; None if it does not.

        Args:
            file: The encoded audio, at its first byte.
        """
        return stated_end(self._opened, file, self._places.equal_size / self.sample_rate)

    def count(self) -> int:
        """Return the frames from the beginning to the end, decoding as little as possible.

        Raises:
            MisplacedError: If all of it has to be decoded.
            FFmpegError: If the container cannot be read.
        """
        if self._places.kind is Places.STAMPS:
            self._seek(BEYOND_THE_END * self.sample_rate)
        elif self._places.kind is Places.SIZES:
            self._drop_until(None)
        for _ in self.chunks():
            pass
        return self.position

    def chunks(self) -> Iterator[Samples]:
        """Yield samples from `position` on, which moves on after each.

        Raises:
            FFmpegError: If the container cannot be read.
        """
        for samples in self._samples():
            yield samples
            self.position += len(samples)

    def _samples(self) -> Iterator[Samples]:
        for packet, frames in self._steps():
            if frames is None:
                self._missing += self._places.frames_of(packet)
            for frame in frames or ():
                yield from self._before(frame)
                yield from self._joined.add(as_float(frame), frame.sample_rate)
        yield from self._joined.finish()
        self.lost += self._missing

    def _steps(self) -> Iterator[Read]:
        read, self._read = self._read, []
        yield from read
        while (packet := next(self._packets, None)) is not None:  # `close` may come between two
            self._note_end(packet)
            yield packet, _decode(packet)

    def _note_end(self, packet: AudioPacket) -> None:
        if packet.pts is not None:
            self._end = packet.pts + (packet.duration or 0)

    def _before(self, frame: AudioFrame) -> Iterator[Samples]:
        """Yield what lies between `position` and a frame: silence in place of lost packets."""
        missing, self._missing = self._missing, 0
        if frame.sample_rate == self.sample_rate and self._places.kind is Places.STAMPS and frame.pts is not None:
            yield from self._joined.finish()
            gap = self._places.frame_at(frame.pts) - self.position
            missing = gap if gap > self._places.jitter else 0
        if missing > 0:
            self.lost += missing if self.position >= self.target else 0
            yield np.zeros((missing, self.channels), np.float32)

    def _read_first_frame(self) -> list[Read]:
        """Return the packets up to the first one that decodes, and what they decode to."""
        read: list[Read] = []
        for packet in self._packets:
            self._note_end(packet)
            read.append((packet, _decode(packet)))
            if read[-1][1]:
                return read
        raise EOFError

    def _seek(self, frame: int) -> None:
        """Go to the packet that holds a frame, or the last one, and set `position`."""
        stream = self._opened.stream
        try:
            self._opened.container.seek(self._places.stamp_of(frame), stream=stream)
            self._packets = self._opened.container.demux(stream)
            self._read = self._read_first_frame()
        except (FFmpegError, EOFError) as error:
            raise MisplacedError from error
        packet, frames = self._read[-1]
        first = (frames or [])[0]
        if first.sample_rate != self.sample_rate or first.pts is None or self._places.is_of_another_rate(packet, first):
            raise MisplacedError
        self.position = self._places.frame_at(first.pts)
        self._read = self._read[-1:]

    def _drop_until(self, frame: int | None) -> None:
        """Drop packets up to the one that holds a frame; all of them if that is None."""
        begin = sum(self._places.frames_of(packet) for packet, _ in self._read) - self._places.delay
        if frame is not None and frame < begin:
            return
        self._read.clear()
        self._opened.stream.codec_context.flush_buffers()
        for packet in self._packets:
            self._note_end(packet)
            size = self._places.frames_of(packet)
            if frame is not None and begin + size > frame:
                self._read.append((packet, _decode(packet)))
                break
            begin += size - left_out_at_end(packet)
        self.position = begin


def _decode(packet: AudioPacket) -> list[AudioFrame] | None:
    try:
        return packet.decode()
    except FFmpegError:
        return [_silence(packet)] if _is_amr_pause(packet) else None


def _is_amr_pause(packet: AudioPacket) -> bool:
    """Return whether an AMR packet describes comfort noise or nothing (RFC 4867), which FFmpeg does not decode."""
    first_pause = FIRST_AMR_PAUSE.get(packet.stream.codec_context.name)
    return first_pause is not None and packet.size > 0 and (bytes(packet)[0] >> 3) & 15 >= first_pause


def _silence(packet: AudioPacket) -> AudioFrame:
    """Return the 20 ms of an AMR frame."""
    sample_rate = packet.stream.codec_context.sample_rate
    frame = AudioFrame.from_ndarray(np.zeros((1, sample_rate // 50), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, packet.pts, packet.time_base
    return frame


def as_float(frame: AudioFrame) -> Samples:
    """Return (frames, channels) in [-1, 1]."""
    if frame.format.name == "fltp" and frame.layout.nb_channels == 1:  # to_ndarray takes three times as long
        return np.frombuffer(frame.planes[0], np.float32, frame.samples)[:, None]
    array: NDArray[Any] = frame.to_ndarray()
    samples = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False)
    limits = np.iinfo(samples.dtype)
    middle = 0 if limits.min else 128
    return (samples.astype(np.float32) - middle) / np.float32(limits.max - middle + 1)
