"""Decode a recording once: count its samples, find its speech, and hold the samples of a short one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import soxr
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE, open_audio
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError
from mrlspk.inference.audio_content import FileState, file_state
from mrlspk.inference.spans import Spans

HELD_SECONDS = 300.0  # longer recordings are decoded again, window after window

type Samples = NDArray[np.float32]  # (samples,)
type OnPart = Callable[[float], None]  # called with the part of a recording that is done, in [0, 1]
type OnBlock = Callable[[], None]  # called for each block of samples; what it raises ends the decoding


@dataclass(frozen=True, eq=False)
class Decoded:
    """A recording that was decoded once.

    Attributes:
        name: Of the recording, in messages.
        sample_rate: Hz of its samples.
        n_samples: All of them.
        speech: What was found; None if it was not searched.
        warnings: Of the decoder.
        blocks: Returns the samples once more, block after block.
    """

    name: str
    sample_rate: int
    n_samples: int
    speech: Spans | None
    warnings: tuple[str, ...]
    blocks: Callable[[], Iterable[Samples]]

    @property
    def n_held(self) -> int:
        """Samples in memory: all or none."""
        return self.n_samples if self.n_samples <= HELD_SECONDS * self.sample_rate else 0

    def read(self, windows: Iterable[Spans]) -> Iterator[Samples]:
        """Yield the samples of each window; no window begins before the end of the last.

        Raises:
            DataError: If the recording can no longer be read as before.
        """
        blocks, block, start = iter(self.blocks()), np.zeros(0, np.float32), 0
        for window in windows:
            parts = []
            for first, last in window.tolist():
                while first < last:
                    while start + len(block) <= first:
                        start += len(block)
                        block = self._next(blocks)
                    parts.append(block[first - start : last - start])
                    first += len(parts[-1])
            yield np.concatenate(parts)

    def _next(self, blocks: Iterator[Samples]) -> Samples:
        block = next(blocks, None)
        if block is None:
            raise _changed(self.name)
        return block


def decode(
    source: AudioSource,
    *,
    sample_rate: int,
    speech: SpeechDetector | None,
    on_part: OnPart | None = None,
    on_block: OnBlock | None = None,
) -> Decoded:
    """Decode a recording to its end, in constant memory.

    Args:
        source: Of the recording.
        sample_rate: Hz.
        speech: Finds the speech; None if it is not searched.
        on_part: Called for each block of a recording that is too long to hold; approaches 1.
        on_block: Called for each block, also when a recording is decoded again.

    Raises:
        DataError: If the recording cannot be read.
    """
    state = file_state(source)
    search = None if speech is None else _Search(speech, sample_rate)
    held, n_samples, n_held = list[Samples](), 0, HELD_SECONDS * sample_rate
    with open_audio(source, sample_rate=sample_rate) as reader:
        for block in reader.blocks():
            n_samples += len(block)
            if on_block:
                on_block()
            if search:
                search.add(block)
            if n_samples <= n_held:
                held.append(block)
                continue
            held.clear()
            if on_part:
                on_part(1 - n_held / n_samples)  # how much follows is not known
        warnings = reader.warnings
    found = search.intervals(n_samples) if search else None
    again = partial(_decode_again, source, sample_rate, state, on_block)
    blocks = partial(iter, held) if held or not n_samples else again
    return Decoded(str(source), sample_rate, n_samples, found, warnings, blocks)


def decoded_samples(samples: Samples, name: str, *, sample_rate: int, speech: SpeechDetector | None) -> Decoded:
    """Return samples (samples,) that were never encoded, as a decoded recording."""
    search = None if speech is None else _Search(speech, sample_rate)
    if search:
        search.add(samples)
    found = search.intervals(len(samples)) if search else None
    return Decoded(name, sample_rate, len(samples), found, (), lambda: [samples])


def _decode_again(
    source: AudioSource, sample_rate: int, state: FileState | None, on_block: OnBlock | None
) -> Iterator[Samples]:
    """Yield the samples once more: speech was found in those of the file in its old ``state``."""
    if file_state(source) != state:
        raise _changed(str(source))
    with open_audio(source, sample_rate=sample_rate) as reader:
        for block in reader.blocks():
            if on_block:
                on_block()
            yield block


def _changed(name: str) -> DataError:
    return DataError("changed while it was read", name, "Embed it again.")


class _Search:
    """A search for speech in samples of any rate.

    Args:
        detector: Finds speech at `SAMPLE_RATE`.
        sample_rate: Hz of the samples.
    """

    def __init__(self, detector: SpeechDetector, sample_rate: int) -> None:
        self._search, self._sample_rate = detector.search(), sample_rate
        other_rate = sample_rate != SAMPLE_RATE
        self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32") if other_rate else None

    def add(self, block: Samples) -> None:
        """Take the next samples (samples,)."""
        self._search.add(self._resampler.resample_chunk(block) if self._resampler else block)

    def intervals(self, n_samples: int) -> Spans:
        """Return the speech among all ``n_samples`` that were added."""
        if self._resampler is None:
            return self._search.intervals()
        self._search.add(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        return (self._search.intervals() * self._sample_rate // SAMPLE_RATE).clip(0, n_samples)
