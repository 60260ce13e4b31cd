"""Batch waveforms of exactly equal length, never padded: zero padding would change an embedding.

What shares a batch depends on the order of the waveforms alone, never on time: a second run gives the same vectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float32]


@dataclass(eq=False)
class Batch[Entry]:
    """Waveforms of one length.

    Attributes:
        entries: What each belongs to.
        waveforms: (samples,) each.
        first: Position of the first.
    """

    first: int
    entries: list[Entry] = field(default_factory=list)
    waveforms: list[Values] = field(default_factory=list)

    @property
    def n_samples(self) -> int:
        """Samples of all waveforms."""
        return len(self.waveforms) * len(self.waveforms[0])


class Buckets[Entry]:
    """Collect waveforms by length until a batch is full, has waited for enough others, or too much audio waits.

    Args:
        batch_size: Most waveforms in a batch.
        batch_samples: Most samples in a batch of more than one.
        most_ahead: How many positions a waveform waits for others.
        most_samples: Samples that wait at most.
    """

    def __init__(self, *, batch_size: int, batch_samples: float, most_ahead: int, most_samples: float) -> None:
        self._batch_size, self._batch_samples = batch_size, batch_samples
        self._most_ahead, self._most_samples = most_ahead, most_samples
        self._by_length: dict[int, Batch[Entry]] = {}  # the first holds the waveform that waits longest
        self._n_waiting = 0

    def add(self, position: int, entry: Entry, waveform: Values) -> None:
        """Let the waveform (samples,) at a position wait; positions rise."""
        batch = self._by_length.setdefault(len(waveform), Batch(position))
        batch.entries.append(entry)
        batch.waveforms.append(waveform)
        self._n_waiting += len(waveform)

    def due(self, position: int) -> Iterator[Batch[Entry]]:
        """Take the batches that are due now that everything up to a position was added."""
        for length, batch in list(self._by_length.items()):
            if len(batch.entries) >= min(self._batch_size, max(1, self._batch_samples // length)):
                yield self._take(length)
        while self._by_length and (self._is_late(position) or self._n_waiting > self._most_samples):
            yield self.take_oldest()

    def take_oldest(self) -> Batch[Entry]:
        """Take the batch of the waveform that waits longest."""
        return self._take(next(iter(self._by_length)))

    def take_all(self) -> Iterator[Batch[Entry]]:
        """Take all batches."""
        while self._by_length:
            yield self.take_oldest()

    def _is_late(self, position: int) -> bool:
        return position - next(iter(self._by_length.values())).first >= self._most_ahead

    def _take(self, length: int) -> Batch[Entry]:
        batch = self._by_length.pop(length)
        self._n_waiting -= batch.n_samples
        return batch
