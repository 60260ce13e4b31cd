"""Waveforms to embeddings: batched with others of exactly their length, never padded.

Zero padding would change an embedding; equal lengths in a batch agree with single files to rounding.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import DataError
from mrlspk.models.encoder import Encoder

MAX_PENDING_SAMPLES = 20 * 60 * SAMPLE_RATE  # decoded audio that waits for others of its length


class Batches[Id]:
    """Waveforms that wait for others of their length, and are embedded with them.

    Args:
        embed: Maps (batch, samples) to one vector each (batch, values) on the CPU.
        batch_size: Waveforms of equal length that go through the network together.
        on_embedded: Called with the id of a waveform and its vector (values,).
    """

    def __init__(
        self, embed: Callable[[Tensor], Tensor], *, batch_size: int, on_embedded: Callable[[Id, Tensor], None]
    ) -> None:
        self._embed_batch, self._batch_size, self._on_embedded = embed, batch_size, on_embedded
        self._by_length: dict[int, dict[Id, Tensor]] = {}

    def add(self, file_id: Id, waveform: Tensor) -> None:
        """Take one waveform (samples,); embed what makes a whole batch, or is too much to keep."""
        length = waveform.numel()
        batch = self._by_length.setdefault(length, {})
        batch[file_id] = waveform
        if len(batch) == self._batch_size:
            self._embed(length)
        while sum(each * len(batch) for each, batch in self._by_length.items()) > MAX_PENDING_SAMPLES:
            self._embed(max(self._by_length, key=lambda each: each * len(self._by_length[each])))

    def embed_all(self) -> None:
        """Embed what still waits."""
        for length in list(self._by_length):
            self._embed(length)

    def _embed(self, length: int) -> None:
        batch = self._by_length.pop(length)
        vectors = self._embed_batch(torch.stack(list(batch.values())))
        for file_id, vector in zip(batch, vectors, strict=True):
            self._on_embedded(file_id, vector)


@torch.inference_mode()
def embed_batch(encoder: Encoder, waveforms: Tensor, *, max_seconds: float) -> Tensor:
    """Map (batch, samples) to (batch, embed_dim) on the CPU, not yet of unit length.

    More than ``max_seconds`` are embedded in windows whose embeddings are averaged: a linear mean, so that a prefix of
    it is the mean of the prefixes.
    """
    device = next(encoder.parameters()).device
    return mean_over_windows(lambda window: encoder(window.to(device)), waveforms, max_seconds=max_seconds).cpu()


def mean_over_windows(embed: Callable[[Tensor], Tensor], waveforms: Tensor, *, max_seconds: float) -> Tensor:
    """Map (batch, samples) to the mean (batch, values) of what ``embed`` makes of windows of them.

    The windows are the fewest equal ones that are not longer than ``max_seconds``.
    """
    samples = waveforms.shape[-1]
    n_windows = max(1, int(np.ceil(samples / (max_seconds * SAMPLE_RATE))))
    size = samples // n_windows
    windows = (waveforms[:, start * size : (start + 1) * size] for start in range(n_windows))
    return torch.stack([embed(window) for window in windows]).mean(0)


def check_length(waveform: Tensor, min_samples: int, where: Path | str) -> None:
    """Refuse (samples,) that are too few to make an embedding.

    Raises:
        DataError: If they are.
    """
    if waveform.numel() < min_samples:
        raise DataError(
            f"too short: {waveform.numel()} samples at 16 kHz, at least {min_samples} are needed",
            where,
            "Leave it out, or give a longer recording; two seconds and more make good embeddings.",
        )


def check_direction(embedding: Tensor, where: Path | str) -> None:
    """Refuse an embedding (embed_dim,) that cannot be brought to unit length.

    Raises:
        DataError: If it is not finite, or zero.
    """
    finite = bool(torch.isfinite(embedding).all())
    if not finite or not embedding.any():
        problem = "is zero" if finite else "is not finite"
        raise DataError(f"its embedding {problem}", where, "Check the recording, and the model on others.")
