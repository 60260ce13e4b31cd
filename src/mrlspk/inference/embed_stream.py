"""Embed recordings one after the other, however many there are."""

from collections.abc import Generator, Iterable
from contextlib import closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError
from mrlspk.inference.backend import Backend
from mrlspk.inference.decoding import Decoded, OnBlock, OnPart, decode
from mrlspk.inference.embedding_checks import check_direction
from mrlspk.inference.pipeline import BATCH_SECONDS, THREAD_BATCH_SECONDS, Limits, Pipeline, Steps
from mrlspk.inference.recording import EmbeddedRecording, Recording, TooShort
from mrlspk.inference.window_embedding import unit_mean
from mrlspk.inference.windows import Windows, keep_speech
from mrlspk.inference.workers import uses_whole_device, workers_for


def embed_stream(
    backend: Backend,
    recordings: Iterable[Recording],
    *,
    batch_size: int,
    max_seconds: float,
    batch_seconds: float | None = None,
    speech: SpeechDetector | None = None,
    on_part: OnPart | None = None,
) -> Generator[tuple[Recording, EmbeddedRecording | TooShort | DataError]]:
    """Yield each recording with its embedding, or why it has none, in the order given.

    Threads decode ahead of the network, and `Backend.concurrency` threads run it. A bounded number of recordings and of
    seconds is in memory. Recordings of one source that follow each other are decoded once. Closing the iterator ends
    its threads.

    Args:
        backend: The model.
        recordings: Read in the calling thread, a few ahead; may be endless.
        batch_size: Most recordings of equal length that are embedded together.
        max_seconds: More is embedded in equal windows of at most this length, as the mean of their unit vectors.
        batch_seconds: Most seconds of a batch of more than one; None: what suits the backend.
        speech: Finds the speech, which alone is embedded unless there is none; None to embed all audio.
        on_part: Called in the calling thread with the part, in [0, 1), of the next recording to come that is done, if
            it is a long one.
    """

    def decode_one(recording: Recording, on_block: OnBlock, on_decoded: OnPart) -> Decoded:
        return decode(
            recording.source,
            sample_rate=backend.sample_rate,
            speech=speech,
            on_part=on_decoded if on_part else None,
            on_block=on_block,
        )

    steps = Steps[Recording, DataError](
        decode=decode_one,
        cut=partial(_cut, max_seconds=max_seconds, min_samples=backend.min_samples),
        embed=partial(embed_batch, backend),
        mean=unit_mean,
        same_audio=lambda last, next_one: last.source == next_one.source,
        failures=DataError,
    )
    pipeline = Pipeline(
        recordings,
        steps,
        workers_for(backend),
        Limits(batch_size, batch_seconds or usual_batch_seconds(backend)),
        sample_rate=backend.sample_rate,
        on_part=on_part,
    )
    return _checked(pipeline)


def usual_batch_seconds(backend: Backend) -> float:
    """Return the most seconds of a batch of more than one that a backend gains from."""
    return BATCH_SECONDS if uses_whole_device(backend) else THREAD_BATCH_SECONDS


def embed_batch(backend: Backend, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map (batch, samples) at the backend's sample rate to a writable copy of its vectors (batch, embed_dim)."""
    return np.array(backend.embed(waveforms), np.float32)


def _cut(recording: Recording, decoded: Decoded, *, max_seconds: float, min_samples: int) -> Windows | TooShort:
    """Return the windows of a recording.

    Raises:
        DataError: If it has too few samples.
    """
    kept = keep_speech(decoded, min_samples=min_samples)
    if kept.is_shorter_than(recording.crop_seconds) and not recording.short_is_whole:
        return TooShort(kept.seconds)
    return kept.cut(max_seconds=max_seconds, min_samples=min_samples, crop_seconds=recording.crop_seconds)


def _checked(
    pipeline: Pipeline[Recording, DataError],
) -> Generator[tuple[Recording, EmbeddedRecording | TooShort | DataError]]:
    with closing(pipeline.results()) as results:
        for recording, outcome in results:
            try:
                if isinstance(outcome, EmbeddedRecording):
                    check_direction(outcome.vector, str(recording.source))
            except DataError as error:
                yield recording, error
            else:
                yield recording, outcome
