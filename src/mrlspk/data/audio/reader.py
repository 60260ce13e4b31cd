"""Read audio as a mono waveform, block after block, and collect what a listener would want to be told about it."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.channels import ChannelFacts, check_channel, take_channel
from mrlspk.data.audio.frame_counts import count_frames
from mrlspk.data.audio.levels import OUT_OF_RANGE, is_out_of_range, peak_of
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.resampling import Span, check_rate, find_span, resample_blocks
from mrlspk.data.audio.source import AudioSource, as_source
from mrlspk.errors import DataError

SAMPLE_RATE = 16_000
UPSAMPLED = "upsampled from"


class AudioReader:
    """Open audio; a context manager. Memory does not grow with its length.

    Args:
        source: What to read.
        sample_rate: Hz of the waveform; other audio is resampled. None: that of the audio itself.
        ranges: Open it to read short ranges, which takes less where that is known how.

    Attributes:
        original_rate: Hz of the audio itself.
        channels: Of the audio itself.
        codec: FFmpeg's name of the codec.

    Raises:
        DataError: If the audio cannot be read, or has no such channel.
    """

    def __init__(self, source: AudioSource, *, sample_rate: int | None = SAMPLE_RATE, ranges: bool = False) -> None:
        if sample_rate is not None:
            check_rate(sample_rate)
        self._source = source
        self._stream = open_stream(source, ranges=ranges)
        self._sample_rate = sample_rate or self._stream.sample_rate
        self.original_rate, self.channels = self._stream.sample_rate, self._stream.channels
        self.codec = self._stream.codec
        try:
            check_channel(source.channel, self.channels, str(source))
        except DataError:
            self._stream.close()
            raise
        self._facts, self._peak = ChannelFacts(self.original_rate), 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    @property
    def seconds(self) -> float:
        """Exact length of the source; where no header states it, the packets of the file are counted."""
        whole = count_frames(self._source, self._stream) / self.original_rate
        left = max(whole - self._source.start_seconds, 0.0)
        return left if self._source.seconds is None else min(self._source.seconds, left)

    @property
    def stated_seconds(self) -> float | None:
        """Exact length of the source as the file states it; None if it does not."""
        return None if self._stream.n_frames is None else self.seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the audio, in a few words each; complete after the last block."""
        found = []
        if self.original_rate < self._sample_rate:
            found.append(f"{UPSAMPLED} {self.original_rate} Hz")
        found += self._facts.warnings()
        if is_out_of_range(self._peak):
            found.append(OUT_OF_RANGE)
        if self._stream.damage is not None:
            found.append(f"damaged: {self._stream.damage}")
        return tuple(found)

    def blocks(self, *, start_seconds: float = 0.0, seconds: float | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield the waveform (samples,) in blocks of some seconds, or a range of it without what follows.

        Args:
            start_seconds: Where the range begins, from the beginning of the source.
            seconds: Length of the range; None for everything that follows. It ends no later than the source.

        Raises:
            DataError: If the audio is cut short, cannot be decoded, holds samples that are not finite numbers, or
                ends before ``start_seconds``.
        """
        length = _length_within(self._source, start_seconds, seconds)
        begin = round((self._source.start_seconds + start_seconds) * self._sample_rate)
        n_samples = None if length is None else round(length * self._sample_rate)
        self._facts, self._peak, is_empty = ChannelFacts(self.original_rate), 0.0, True
        for block in self._resampled(begin, n_samples):
            is_empty = False
            yield block
        if is_empty:
            fix = "Remove the file, or record it again."
            raise DataError(f"expected audio at {start_seconds:.2f} s, got none", str(self._source), fix)

    def _resampled(self, begin: int, n_samples: int | None) -> Iterator[NDArray[np.float32]]:
        """Yield the samples from ``begin`` on, counted at the rate of the waveform."""
        if n_samples == 0:
            return
        span = find_span(begin, n_samples, self.original_rate, self._sample_rate)
        to_skip, left = span.n_skipped, n_samples
        for block in resample_blocks(self._mono(span), self.original_rate, self._sample_rate):
            part = block[to_skip:] if left is None else block[to_skip : to_skip + left]
            to_skip = max(to_skip - len(block), 0)
            if len(part):
                yield part
            if left is not None:
                left -= len(part)
                if not left:
                    return

    def _mono(self, span: Span) -> Iterator[NDArray[np.float32]]:
        """Yield the chosen channel as it is decoded, and take note of what is wrong with it."""
        position = span.start
        for block in self._stream.blocks(span.start, span.stop):
            within = block if span.stop is None else block[: span.stop - position]
            waveform = take_channel(within, self._source.channel)
            self._note(within, waveform)
            yield waveform
            position += len(block)
            if span.stop is not None and position >= span.stop:
                return

    def _note(self, block: NDArray[np.float32], waveform: NDArray[np.float32]) -> None:
        peak = peak_of(waveform)
        if not math.isfinite(peak):
            fix = "Write the file again, e.g. as 16-bit PCM."
            raise DataError("holds samples that are not finite numbers", str(self._source), fix)
        self._peak = max(self._peak, peak)
        if self._source.channel == "mix" and self.channels > 1:
            self._facts.add(block)


def open_audio(audio: AudioSource | str | Path, *, sample_rate: int = SAMPLE_RATE, ranges: bool = False) -> AudioReader:
    """Open audio to read it as a mono waveform; with ``ranges``, short ranges of it.

    Raises:
        DataError: If the audio cannot be read, or has no such channel.
    """
    return AudioReader(as_source(audio), sample_rate=sample_rate, ranges=ranges)


def _length_within(source: AudioSource, start_seconds: float, seconds: float | None) -> float | None:
    """Return the seconds to read, none of them beyond the end of the source; None for everything that follows."""
    if source.seconds is None:
        return seconds
    left = max(source.seconds - start_seconds, 0.0)
    return left if seconds is None else min(seconds, left)
