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


class Batches:
    """Waveforms that wait for others of their length, and are embedded with them.

    Args:
        encoder: In evaluation mode.
        batch_size: Waveforms of equal length that go through the network together.
        max_seconds: See `embed_batch`.
        on_embedded: Called with the id of a waveform and its embedding (embed_dim,) on the CPU.
    """

    def __init__(
        self, encoder: Encoder, *, batch_size: int, max_seconds: float, on_embedded: Callable[[str, Tensor], None]
    ) -> None:
        self._encoder, self._batch_size, self._max_seconds = encoder, batch_size, max_seconds
        self._on_embedded = on_embedded
        self._by_length: dict[int, dict[str, Tensor]] = {}

    def add(self, file_id: str, waveform: Tensor) -> None:
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
        vectors = embed_batch(self._encoder, torch.stack(list(batch.values())), max_seconds=self._max_seconds)
        for file_id, vector in zip(batch, vectors, strict=True):
            self._on_embedded(file_id, vector)


@torch.inference_mode()
def embed_batch(encoder: Encoder, waveforms: Tensor, *, max_seconds: float) -> Tensor:
    """Map (batch, samples) to (batch, embed_dim) on the CPU, not yet of unit length.

    More than ``max_seconds`` are cut into the fewest equal windows that are not longer, whose embeddings are averaged:
    a linear mean, so that a prefix of it is the mean of the prefixes.
    """
    samples = waveforms.shape[-1]
    n_windows = max(1, int(np.ceil(samples / (max_seconds * SAMPLE_RATE))))
    size = samples // n_windows
    device = next(encoder.parameters()).device
    windows = (waveforms[:, start * size : (start + 1) * size] for start in range(n_windows))
    embeddings: list[Tensor] = [encoder(window.to(device)) for window in windows]
    return torch.stack(embeddings).mean(0).cpu()


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
