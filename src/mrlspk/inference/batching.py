"""Batch waveforms of equal length, never padded: zero padding would change an embedding.

Waveforms in one batch give the embeddings that they give alone, up to rounding.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import DataError

MAX_PENDING_SAMPLES = 20 * 60 * SAMPLE_RATE  # decoded audio that waits for more of its length

type Values = NDArray[np.float32]


class Batches[Id]:
    """Collect waveforms by length, and embed those of one length together.

    Args:
        embed: Maps (batch, samples) to one vector each (batch, values).
        batch_size: Waveforms of equal length in a batch.
        on_embedded: Called with the id of a waveform and its vector (values,).
    """

    def __init__(
        self, embed: Callable[[Values], Values], *, batch_size: int, on_embedded: Callable[[Id, Values], None]
    ) -> None:
        self._embed_batch, self._batch_size, self._on_embedded = embed, batch_size, on_embedded
        self._by_length: dict[int, dict[Id, Values]] = {}

    def add(self, waveform_id: Id, waveform: Values) -> None:
        """Take one waveform (samples,); embed a batch that is full, or the largest when too much audio waits."""
        length = len(waveform)
        batch = self._by_length.setdefault(length, {})
        batch[waveform_id] = waveform
        if len(batch) == self._batch_size:
            self._embed(length)
        while sum(each * len(batch) for each, batch in self._by_length.items()) > MAX_PENDING_SAMPLES:
            self._embed(max(self._by_length, key=lambda each: each * len(self._by_length[each])))

    def embed_all(self) -> None:
        """Embed all waveforms that still wait."""
        for length in list(self._by_length):
            self._embed(length)

    def _embed(self, length: int) -> None:
        batch = self._by_length.pop(length)
        vectors = self._embed_batch(np.stack(list(batch.values())))
        for waveform_id, vector in zip(batch, vectors, strict=True):
            self._on_embedded(waveform_id, vector)


def check_length(n_samples: int, min_samples: int, where: Path | str, *, sample_rate: int = SAMPLE_RATE) -> None:
    """Check that there are enough samples for an embedding.

    Raises:
        DataError: If they are too few.
    """
    if n_samples < min_samples:
        raise DataError(
            f"too short: {n_samples} samples at {sample_rate / 1000:g} kHz, at least {min_samples} are needed",
            where,
            "Leave it out, or give a longer recording; two seconds and more make good embeddings.",
        )


def check_direction(embedding: Values, where: Path | str) -> None:
    """Check that an embedding (embed_dim,) can be brought to unit length.

    Raises:
        DataError: If it is not finite, or zero.
    """
    finite = bool(np.isfinite(embedding).all())
    if not finite or not embedding.any():
        problem = "is zero" if finite else "is not finite"
        raise DataError(f"its embedding {problem}", where, "Check the recording, and try the model on others.")
