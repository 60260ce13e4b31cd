"""Read audio with FFmpeg, in blocks from any frame on."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from mrlspk.data.audio.chained_ogg import ChainedStream
from mrlspk.data.audio.completeness import COPY_AGAIN
from mrlspk.data.audio.ffmpeg_container import encoded_audio, open_container, undecodable
from mrlspk.data.audio.ffmpeg_pass import MisplacedError, Pass, Samples
from mrlspk.data.audio.ogg_links import find_links, is_ogg, read_end
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import AudioStream, UndecodableError, frames_at_once
from mrlspk.errors import DataError
from mrlspk.reading import reading

MOST_LOST = 0.01  # of the audio
LEAST_LOST_SECONDS = 0.1  # a packet or two
TOLERATED_SECONDS = 0.2  # between stated and decoded end: encoder's delay, packets, rounding


class FFmpegStream(AudioStream):
    """Audio that FFmpeg reads; every call of `blocks` decodes by itself.

    Args:
        source: The encoded audio.
        extent: First byte, and the byte behind the last, of the part to read; None: all of it.
        end_note: What to tell as `damage` once the end has been read.
        decodes_all: Decode from the beginning whatever is asked for, since time stamps and stated lengths mislead.
        demuxer: FFmpeg's, if it is known; None: FFmpeg tries them all.

    Raises:
        DataError: If it is no recording that FFmpeg can decode.
    """

    def __init__(
        self,
        source: AudioSource,
        extent: tuple[int, int] | None = None,
        *,
        end_note: str | None = None,
        decodes_all: bool = False,
        demuxer: str | None = None,
    ) -> None:
        self._source, self._extent, self._end_note, self._decodes_all = source, extent, end_note, decodes_all
        self._demuxer = demuxer
        self._is_read = False
        self._passes: set[Pass] = set()
        self._lost = 0
        self.n_frames: int | None = None
        self._unused: Pass | None = self._open()
        self.sample_rate, self.channels = self._unused.sample_rate, self._unused.channels
        self.container, self.codec = self._unused.container, self._unused.codec

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield (frames, channels) from frame ``start`` to the end: a short range at once, else about a second each."""
        size = frames_at_once(start, stop, self.channels) or self.sample_rate
        held: list[Samples] = []
        n_held = 0
        for samples in self._samples_from(start):
            held.append(samples)
            n_held += len(samples)
            if n_held >= size:
                yield np.concatenate(held)
                held, n_held = [], 0
        if n_held:
            yield np.concatenate(held)

    def count_frames(self) -> int:
        """Return the exact number of frames."""
        if self.n_frames is None:
            with self._errors():
                self.n_frames = self._count()
        return self.n_frames

    @property
    def damage(self) -> str | None:
        """How much could not be decoded, and what is odd about the end."""
        seconds = max(self._lost / self.sample_rate, 0.01)
        notes = [f"{seconds:.2f} s could not be decoded"] if self._lost else []
        if self._end_note is not None and self._is_read:
            notes.append(self._end_note)
        return ", ".join(notes) or None

    def close(self) -> None:
        """Close the audio; blocks that are being read end."""
        self._unused = None
        for each in tuple(self._passes):
            self._end(each)

    def _samples_from(self, start: int) -> Iterator[Samples]:
        with self._errors():
            decoding = self._begin_near(start)
            try:
                for samples in decoding.chunks():
                    skipped = max(start - decoding.position, 0)
                    if skipped < len(samples):
                        yield samples[skipped:]
                if not decoding.is_closed:
                    self._check(decoding, start)
            finally:
                self._end(decoding)

    def _begin_near(self, start: int) -> Pass:
        """Begin somewhat before a frame, or at the beginning if that leads astray."""
        decoding = self._begin()
        try:
            decoding.jump(start)
        except MisplacedError:
            self._end(decoding)
            decoding = self._begin()
            decoding.target = start
        return decoding

    def _count(self) -> int:
        decoding = self._begin()
        try:
            count = decoding.count()
            self._check_end(decoding)
            return count
        except MisplacedError:
            return sum(len(samples) for samples in self._samples_from(0))
        finally:
            self._end(decoding)

    def _begin(self) -> Pass:
        """Return the pass of the constructor if it is unused, or a new one."""
        decoding, self._unused = self._unused or self._open(), None
        return decoding

    def _open(self) -> Pass:
        with self._errors():
            opened = open_container(encoded_audio(self._source, self._extent), self._source, demuxer=self._demuxer)
            try:
                decoding = Pass(opened, decodes_all=self._decodes_all)
            except (FFmpegError, EOFError):
                opened.container.close()
                raise
            self._passes.add(decoding)
            return decoding

    def _end(self, decoding: Pass) -> None:
        self._passes.discard(decoding)
        decoding.close()

    def _check(self, decoding: Pass, start: int) -> None:
        """Tell what was lost up to the end; much of it is an error, and so is an end before the stated one."""
        self._check_end(decoding)
        self._lost, self._is_read = max(self._lost, decoding.lost), True
        read = decoding.position - start
        if decoding.lost > max(MOST_LOST * read, LEAST_LOST_SECONDS * self.sample_rate):
            lost, whole = decoding.lost / self.sample_rate, read / self.sample_rate
            raise DataError(f"{lost:.1f} of {whole:.1f} s cannot be decoded", str(self._source), COPY_AGAIN)

    def _check_end(self, decoding: Pass) -> None:
        if self._extent is not None:  # one of several parts, and not the last one
            return
        with reading(str(self._source), DataError), self._source.open() as file:
            expected = decoding.stated_end(file)
        if expected is not None and decoding.end < expected - TOLERATED_SECONDS:
            what = f"cut short: expected {expected:.1f} s, got {decoding.end:.1f} s"
            raise DataError(what, str(self._source), COPY_AGAIN)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except EOFError as error:
            raise UndecodableError(self._source, "FFmpeg: no audio in it") from error
        except FFmpegError as error:
            raise undecodable(self._source, error) from error


def open_ffmpeg(source: AudioSource) -> AudioStream:
    """Open audio of any format that FFmpeg reads, but no playlist; all links of a chained Ogg file.

    Raises:
        DataError: If it is no recording that FFmpeg can decode, or an Ogg file that is cut short.
    """
    with reading(str(source), DataError), source.open() as file:
        end = read_end(file, source.size()) if is_ogg(file) else None
        if end is None:
            return FFmpegStream(source)
        links = _find_links(source)
    if end.is_cut:
        raise DataError("cut short: its last Ogg page is incomplete", str(source), COPY_AGAIN)
    note = None if end.is_marked else "its last Ogg page is not marked as the end"
    if len(links) == 1:
        return FFmpegStream(source, end_note=note)
    *others, last = links
    parts = [partial(FFmpegStream, source, link) for link in others]
    return ChainedStream([*parts, partial(FFmpegStream, source, last, end_note=note)])


def _find_links(source: AudioSource) -> list[tuple[int, int]]:
    if source.path is None:
        with source.open() as file:
            return find_links(file, source.size())
    state = source.path.stat()
    return _find_links_once(source.path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1 << 14)
def _find_links_once(path: Path, size: int, changed_ns: int) -> list[tuple[int, int]]:  # noqa: ARG001 - of the key
    """Read the pages of a file once: an epoch of random crops opens it often."""
    with path.open("rb") as file:
        return find_links(file, size)
