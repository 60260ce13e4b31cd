"""Decode recordings ahead of the network, embed those of equal length together, and give the results in order.

All state belongs to the calling thread: the other threads only decode, or run the network. Bounded are the recordings
that were begun, and the samples in memory.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import numpy as np

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import MrlspkError
from mrlspk.inference.buckets import Batch, Buckets, Values
from mrlspk.inference.decoding import Decoded, OnBlock, OnPart
from mrlspk.inference.freed_memory import release_freed_memory
from mrlspk.inference.recording import EmbeddedRecording, TooShort
from mrlspk.inference.window_embedding import Embed, embed_windows
from mrlspk.inference.windows import Vector, Windows, find_peak
from mrlspk.inference.workers import Workers

BATCH_SECONDS = 60.0  # of a call that uses the whole machine or a GPU
THREAD_BATCH_SECONDS = 15.0  # of one of several calls at once: more costs memory, and is no faster
BATCHES_AHEAD = 4  # recordings that wait for others of equal length, as a multiple of the batch size
MOST_BEGUN = 64  # recordings beyond those that wait: decoded, in the network, or done behind one that is not
MAX_WAITING_SECONDS = 600.0  # of audio that waits for more of its length
MAX_HELD_SECONDS = 1200.0  # of all audio in memory, but for the recordings that are being decoded
DECODING_SHARE = 0.1  # of the progress of a long recording; the rest is embedding
TRIM_SECONDS = 60.0  # of audio that is embedded between two releases of freed memory

type Outcome[Failure] = EmbeddedRecording | TooShort | Failure


@dataclass(frozen=True)
class Steps[Item, Failure: MrlspkError]:
    """What is done with the items of a stream.

    Attributes:
        decode: Decodes an item in a thread; gets what to call for each block, and with the part that is decoded.
        cut: Returns the windows of an item.
        embed: Maps (batch, samples) to (batch, values) in a thread.
        mean: Maps the vectors of several windows, and the name of the recording, to their average.
        same_audio: Whether an item needs the audio that was decoded for the one before it.
        failures: Errors of one item that do not stop the others.
    """

    decode: Callable[[Item, OnBlock, OnPart], Decoded]
    cut: Callable[[Item, Decoded], Windows | TooShort]
    embed: Embed
    mean: Callable[[Sequence[Vector], str], Vector]
    same_audio: Callable[[Item, Item], bool]
    failures: type[Failure]


@dataclass(frozen=True)
class Limits:
    """How far a stream reads ahead.

    Attributes:
        batch_size: Most recordings in a batch.
        batch_seconds: Most seconds of a batch of more than one.
        most_begun: Recordings that were begun and not given back; the default leaves room for decoding ahead.
    """

    batch_size: int
    batch_seconds: float = BATCH_SECONDS
    most_begun: int | None = None


@dataclass(eq=False)
class _Audio:
    """Audio that one or more entries need.

    Attributes:
        decoded: Once it is; the error if it cannot be.
        n_users: Entries that still need it.
        n_held: Its samples in memory.
    """

    decoded: Decoded | BaseException | None = None
    n_users: int = 0
    n_held: int = 0


@dataclass(eq=False)
class _Entry[Item, Failure: MrlspkError]:
    """An item on its way through the stream.

    Attributes:
        position: From 0.
        item: As given.
        audio: What it is cut from.
        outcome: Once it is known; an error that is none of the ``failures`` ends the stream when its turn comes.
    """

    position: int
    item: Item
    audio: _Audio
    outcome: Outcome[Failure] | BaseException | None = None


type _Waiting[Item, Failure: MrlspkError] = tuple[_Entry[Item, Failure], Callable[[Vector], EmbeddedRecording]]


class Pipeline[Item, Failure: MrlspkError]:
    """A stream of items through decoding, cutting and embedding.

    Args:
        items: Read in the calling thread as there is room; may be endless.
        steps: What is done with each.
        workers: Threads; closed at the end.
        limits: How far to read ahead.
        sample_rate: Hz.
        on_part: Called with the part, in [0, 1), of the next recording to come that is done, if that is a long one.
    """

    def __init__(
        self,
        items: Iterable[Item],
        steps: Steps[Item, Failure],
        workers: Workers,
        limits: Limits,
        *,
        sample_rate: int = SAMPLE_RATE,
        on_part: OnPart | None = None,
    ) -> None:
        self._items, self._steps, self._workers, self._on_part = iter(items), steps, workers, on_part
        ahead = BATCHES_AHEAD * limits.batch_size
        self._most_begun = limits.most_begun or ahead + MOST_BEGUN
        self._most_held = MAX_HELD_SECONDS * sample_rate
        self._buckets = Buckets[_Waiting[Item, Failure]](
            batch_size=limits.batch_size,
            batch_samples=limits.batch_seconds * sample_rate,
            most_ahead=min(ahead, self._most_begun),
            most_samples=MAX_WAITING_SECONDS * sample_rate,
        )
        self._trim_samples = TRIM_SECONDS * sample_rate
        self._order: deque[_Entry[Item, Failure]] = deque()  # begun and not given back
        self._uncut: deque[_Entry[Item, Failure]] = deque()  # of these, those that are decoded or will be
        self._last: _Entry[Item, Failure] | None = None
        self._n_begun = self._n_decoding = self._n_held = self._n_embedded = 0
        self._is_over = False

    def results(self) -> Generator[tuple[Item, Outcome[Failure]]]:
        """Yield each item with its outcome, in order; errors other than ``failures`` end the stream."""
        try:
            while self._advance():
                outcome = self._order[0].outcome
                if isinstance(outcome, BaseException) and not isinstance(outcome, self._steps.failures):
                    raise outcome  # after all that comes before it
                if outcome is not None:
                    yield self._order.popleft().item, outcome
        finally:
            self._workers.close()

    def _advance(self) -> bool:
        """Begin what there is room for, and wait unless an outcome is next; return whether one is to come."""
        self._workers.handle(wait=False)
        self._begin()
        self._cut()
        if not self._order:
            return False
        if self._order[0].outcome is None:
            if not self._workers.are_busy:
                self._embed(self._buckets.take_oldest())
            self._workers.handle(wait=True)
        return True

    def _begin(self) -> None:
        while not self._is_over and self._has_room():
            try:
                item = next(self._items)
            except StopIteration:
                self._is_over = True
                return
            self._last = entry = _Entry[Item, Failure](self._n_begun, item, self._audio_of(item))
            entry.audio.n_users += 1
            self._n_begun += 1
            self._order.append(entry)
            self._uncut.append(entry)

    def _has_room(self) -> bool:
        few_begun = len(self._order) < self._most_begun
        return few_begun and self._n_decoding < 2 * self._workers.n_decoders and self._n_held < self._most_held

    def _audio_of(self, item: Item) -> _Audio:
        """Return the audio of the last entry if it is the same; otherwise begin to decode."""
        if self._last is not None:
            if self._steps.same_audio(self._last.item, item):
                return self._last.audio
            last, self._last = self._last.audio, None
            self._free(last)
        audio, position = _Audio(), self._n_begun
        on_part = partial(self._tell_part, position, 0.0, DECODING_SHARE)
        task = partial(self._steps.decode, item, self._workers.check, on_part)
        self._n_decoding += 1
        self._workers.decode(task, partial(self._decoded, audio))
        return audio

    def _decoded(self, audio: _Audio, future: Future[Decoded]) -> None:
        self._n_decoding -= 1
        audio.decoded = future.exception() or future.result()
        if isinstance(audio.decoded, Decoded):
            audio.n_held = audio.decoded.n_held
            self._n_held += audio.n_held

    def _cut(self) -> None:
        """Cut what is decoded, in order, and embed the batches that are due."""
        while self._uncut and self._uncut[0].audio.decoded is not None:
            entry = self._uncut.popleft()
            self._cut_one(entry, entry.audio.decoded)
            for batch in self._buckets.due(entry.position + 1):
                self._embed(batch)
        if self._is_over and not self._uncut:
            for batch in self._buckets.take_all():
                self._embed(batch)

    def _cut_one(self, entry: _Entry[Item, Failure], decoded: Decoded | BaseException | None) -> None:
        if not isinstance(decoded, Decoded):
            self._finish(entry, decoded)
            return
        try:
            windows = self._steps.cut(entry.item, decoded)
            if isinstance(windows, TooShort):
                self._finish(entry, windows)
            elif len(windows.spans) > 1 or not decoded.n_held:
                self._embed_windows(entry, windows)
            else:
                samples = next(windows.read())
                self._buckets.add(entry.position, (entry, windows.recording_of(find_peak(samples))), samples)
                self._n_held += len(samples)
                self._leave(entry)
        except self._steps.failures as error:
            self._finish(entry, error)

    def _embed_windows(self, entry: _Entry[Item, Failure], windows: Windows) -> None:
        on_part = partial(self._tell_part, entry.position, DECODING_SHARE, 1 - DECODING_SHARE)
        task = partial(embed_windows, self._run_network, windows, self._workers, mean=self._steps.mean, on_part=on_part)
        self._workers.decode(task, lambda future: self._finish(entry, future.exception() or future.result()))

    def _embed(self, batch: Batch[_Waiting[Item, Failure]]) -> None:
        n_samples = batch.n_samples

        def done(future: Future[Values]) -> None:
            self._n_held -= n_samples
            batch.waveforms.clear()
            if error := future.exception():
                for entry, _ in batch.entries:
                    entry.outcome = error
                return
            for (entry, with_vector), vector in zip(batch.entries, future.result(), strict=True):
                entry.outcome = with_vector(vector)

        self._workers.embed(lambda: self._run_network(np.stack(batch.waveforms)), done)

    def _run_network(self, waveforms: Values) -> Values:
        """Embed a batch, in a thread of the network."""
        vectors = self._steps.embed(waveforms)
        self._n_embedded += waveforms.size
        if self._n_embedded >= self._trim_samples:
            self._n_embedded = 0
            release_freed_memory()
        return vectors

    def _finish(self, entry: _Entry[Item, Failure], outcome: Outcome[Failure] | BaseException | None) -> None:
        entry.outcome = outcome
        self._leave(entry)

    def _leave(self, entry: _Entry[Item, Failure]) -> None:
        """Note that an entry needs its audio no more."""
        entry.audio.n_users -= 1
        self._free(entry.audio)

    def _free(self, audio: _Audio) -> None:
        """Let go of audio that no entry needs, nor one that may come next."""
        if audio.n_users == 0 and (self._last is None or self._last.audio is not audio):
            self._n_held -= audio.n_held
            audio.decoded, audio.n_held = None, 0

    def _tell_part(self, position: int, start: float, share: float, part: float) -> None:
        """Report the part of an entry, from any thread."""
        if self._on_part:
            self._workers.tell(partial(self._part_done, position, start + share * part))

    def _part_done(self, position: int, part: float) -> None:
        if self._on_part and self._order and self._order[0].position == position:
            self._on_part(part)
