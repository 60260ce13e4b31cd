"""Embed an endless stream of waveforms: equal lengths together, results in order, few waveforms in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mrlspk.inference.batching import MAX_PENDING_SAMPLES

BATCHES_AHEAD = 4  # items that wait for others of equal length, as a multiple of the batch size

type Values = NDArray[np.float32]


@dataclass(eq=False)
class Pending[Item]:
    """An item of a stream, with a waveform that waits to be embedded or without one.

    Attributes:
        item: Whatever the caller wants back beside the vector.
        waveform: (samples,); None if there is nothing to embed.
        vector: (embed_dim,), set once the waveform is embedded.
    """

    item: Item
    waveform: Values | None
    vector: Values | None = None

    @property
    def n_samples(self) -> int:
        """Samples that wait to be embedded."""
        return 0 if self.waveform is None else len(self.waveform)


def embed_in_order[Item](
    items: Iterable[Pending[Item]], embed: Callable[[Values], Values], *, batch_size: int
) -> Iterator[Pending[Item]]:
    """Yield the items in order, each embedded together with others of its length, reading a few items ahead.

    With a ``batch_size`` of 1 each item is yielded before the next is read.

    Args:
        items: May be endless.
        embed: Maps (batch, samples) to (batch, embed_dim).
        batch_size: Most waveforms in a batch.
    """
    waiting: deque[Pending[Item]] = deque()
    for item in items:
        waiting.append(item)
        while waiting and _is_due(waiting, batch_size):
            yield _take_first(waiting, embed, batch_size)
    while waiting:
        yield _take_first(waiting, embed, batch_size)


def _is_due[Item](waiting: deque[Pending[Item]], batch_size: int) -> bool:
    """Return whether the first item is done, has a full batch, or has waited for enough others."""
    if waiting[0].waveform is None or len(waiting) >= BATCHES_AHEAD * batch_size:
        return True
    samples = sum(each.n_samples for each in waiting)
    return samples > MAX_PENDING_SAMPLES or len(_batch_of_first(waiting, batch_size)) == batch_size


def _take_first[Item](
    waiting: deque[Pending[Item]], embed: Callable[[Values], Values], batch_size: int
) -> Pending[Item]:
    if waiting[0].waveform is not None:
        batch = _batch_of_first(waiting, batch_size)
        vectors = embed(np.stack([each.waveform for each in batch if each.waveform is not None]))
        for each, vector in zip(batch, vectors, strict=True):
            each.waveform, each.vector = None, vector
    return waiting.popleft()


def _batch_of_first[Item](waiting: deque[Pending[Item]], batch_size: int) -> list[Pending[Item]]:
    """Return the first item and those of its length that wait behind it."""
    same = (each for each in waiting if each.n_samples == waiting[0].n_samples)
    return list(islice(same, batch_size))
