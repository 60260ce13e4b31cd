"""Embed a recording of several windows in the memory of a few, and average their vectors."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mrlspk.inference.decoding import OnPart, Samples
from mrlspk.inference.embedding_checks import check_direction
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.inference.windows import Vector, Windows, find_peak
from mrlspk.inference.workers import Workers

type Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (batch, samples) to (batch, values)


def embed_windows(
    embed: Embed,
    windows: Windows,
    workers: Workers,
    *,
    mean: Callable[[Sequence[Vector], str], Vector],
    on_part: OnPart,
) -> EmbeddedRecording:
    """Read windows in this thread while the threads of the network embed the last ones.

    Args:
        embed: Runs in the threads of the network.
        windows: Of one recording.
        workers: Have the threads, and the slots for windows in memory.
        mean: Maps several vectors, and the name of the recording, to their average.
        on_part: Called with the part of the windows that were handed on.

    Raises:
        DataError: If the windows cannot be read, or ``mean`` raises it.
        StoppedError: If the embedding is no longer wanted.
    """
    futures, peak, reader = list[Future[Vector]](), 0.0, windows.read()
    for number in range(len(windows.spans)):
        samples = _next_window(reader, workers)
        peak = max(peak, find_peak(samples))
        futures.append(workers.embed_window(partial(_embed_one, embed, samples)))
        on_part(number / len(windows.spans))
    vectors = [each.result() for each in futures]
    vector = vectors[0] if len(vectors) == 1 else mean(vectors, windows.decoded.name)
    return windows.recording_of(peak)(vector)


def unit_mean(vectors: Sequence[Vector], name: str) -> Vector:
    """Return the mean of vectors of windows, each brought to unit length first.

    Windows of one recording are equally long, so each weighs as much as its seconds. Without unit length, a window of
    silence would weigh more than one of speech: its vector can be several times as long. The mean is linear in the
    unit vectors, so a prefix of it is the mean of their prefixes.

    Raises:
        DataError: If a vector has no direction.
    """
    for vector in vectors:
        check_direction(vector, name)
    rows = np.stack(vectors).astype(np.float64)
    mean: Vector = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(0).astype(np.float32)
    return mean


def _next_window(reader: Iterator[Samples], workers: Workers) -> Samples:
    """Return the next window once there is a slot for it; what embeds it gives the slot back."""
    workers.window_slots.acquire()
    try:
        workers.check()
        return next(reader)
    except BaseException:
        workers.window_slots.release()
        raise


def _embed_one(embed: Embed, samples: Samples) -> Vector:
    vector: Vector = embed(samples[None])[0]
    return vector
