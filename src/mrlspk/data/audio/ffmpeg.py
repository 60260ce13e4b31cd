"""Read audio with FFmpeg, in blocks from any frame on."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from mrlspk.data.audio.completeness import COPY_AGAIN
from mrlspk.data.audio.ffmpeg_container import encoded_audio, open_container, undecodable
from mrlspk.data.audio.ffmpeg_pass import MisplacedError, Pass, Samples
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import AudioStream, UndecodableError
from mrlspk.errors import DataError

MOST_LOST = 0.01  # of the audio
LEAST_LOST_SECONDS = 0.1  # a packet or two


class FFmpegStream(AudioStream):
    """Audio that FFmpeg reads; every call of `blocks` decodes by itself.

    Raises:
        DataError: If it is no recording that FFmpeg can decode.
    """

    def __init__(self, source: AudioSource) -> None:
        self._source = source
        self._passes: set[Pass] = set()
        self._lost = 0
        self.n_frames: int | None = None
        self._unused: Pass | None = self._open()
        self.sample_rate, self.channels = self._unused.sample_rate, self._unused.channels

    def blocks(self, start: int = 0) -> Iterator[NDArray[np.float32]]:
        """Yield (frames, channels), about a second each, from frame ``start`` to the end."""
        held: list[Samples] = []
        n_held = 0
        for samples in self._samples_from(start):
            held.append(samples)
            n_held += len(samples)
            if n_held >= self.sample_rate:
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
        """How much could not be decoded."""
        return f"{self._lost / self.sample_rate:.2f} s could not be decoded" if self._lost else None

    def close(self) -> None:
        """Close the audio."""
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
                self._check_lost(decoding, start)
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
            return decoding.count()
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
            opened = open_container(encoded_audio(self._source), self._source)
            try:
                decoding = Pass(opened)
            except (FFmpegError, EOFError):
                opened.container.close()
                raise
            self._passes.add(decoding)
            return decoding

    def _end(self, decoding: Pass) -> None:
        self._passes.discard(decoding)
        decoding.close()

    def _check_lost(self, decoding: Pass, start: int) -> None:
        """Tell what was lost; much of it is an error."""
        self._lost = max(self._lost, decoding.lost)
        read = decoding.position - start
        if decoding.lost > max(MOST_LOST * read, LEAST_LOST_SECONDS * self.sample_rate):
            lost, whole = decoding.lost / self.sample_rate, read / self.sample_rate
            raise DataError(f"{lost:.1f} of {whole:.1f} s cannot be decoded", str(self._source), COPY_AGAIN)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except EOFError as error:
            raise UndecodableError(self._source, "FFmpeg: no audio in it") from error
        except FFmpegError as error:
            raise undecodable(self._source, error) from error


def open_ffmpeg(source: AudioSource) -> AudioStream:
    """Open audio of any format that FFmpeg reads, but no playlist.

    Raises:
        DataError: If it is no recording that FFmpeg can decode.
    """
    return FFmpegStream(source)
