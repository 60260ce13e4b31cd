"""Audio files to embeddings: each decoded once, batched with files of exactly its length, never padded.

Zero padding would change an embedding; equal lengths in a batch agree with single files to rounding.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.data.audio import SAMPLE_RATE, load_audio, probe_audio
from mrlspk.data.inspection import SILENT_PEAK
from mrlspk.errors import DataError
from mrlspk.models.encoder import Encoder

log = logging.getLogger("mrlspk.encoding")

MAX_PENDING_SAMPLES = 20 * 60 * SAMPLE_RATE  # decoded audio that waits for others of its length


@dataclass(frozen=True)
class EmbeddedFiles:
    """Embeddings by id, in the order in which the files were given, and what was seen on the way.

    Attributes:
        embeddings: (embed_dim,) float32 each, not yet of unit length.
        seconds: Decoded length.
        warnings: Such as ``silent``; an id without any is absent.
        errors: Why a file has no embedding.
    """

    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def embed_files(
    encoder: Encoder,
    files: Mapping[str, Path],
    *,
    batch_size: int,
    max_seconds: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> EmbeddedFiles:
    """Embed every file, on the device that the encoder is on.

    A file that cannot be embedded is listed under ``errors``; the others are embedded all the same.

    Args:
        encoder: In evaluation mode.
        files: Path by id.
        batch_size: Files of equal length that go through the network together.
        max_seconds: Longer files are embedded as the mean of equal windows of at most this length.
        on_progress: Called with (files done, all files).
    """
    found = EmbeddedFiles()
    waiting = _Waiting(encoder, files, found, max_seconds=max_seconds, on_progress=on_progress)
    for file_id, waveform in _decode(encoder, files, found):
        waiting.add(file_id, waveform, batch_size=batch_size)
    waiting.embed_all()
    in_order = {file_id: found.embeddings[file_id] for file_id in files if file_id in found.embeddings}
    return EmbeddedFiles(in_order, found.seconds, found.warnings, found.errors)


class _Waiting:
    """Decoded audio that waits for others of its length; what becomes of it is noted in ``found``."""

    def __init__(
        self,
        encoder: Encoder,
        files: Mapping[str, Path],
        found: EmbeddedFiles,
        *,
        max_seconds: float,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._encoder, self._files, self._found = encoder, files, found
        self._max_seconds, self._on_progress = max_seconds, on_progress
        self._by_length: dict[int, dict[str, Tensor]] = {}
        self._done = 0

    def add(self, file_id: str, waveform: Tensor, *, batch_size: int) -> None:
        """Take one waveform (samples,); embed what makes a whole batch, or is too much to keep."""
        length = waveform.numel()
        batch = self._by_length.setdefault(length, {})
        batch[file_id] = waveform
        if len(batch) == batch_size:
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
            try:
                check_direction(vector, self._files[file_id])
            except DataError as error:
                self._found.errors[file_id] = str(error)
            else:
                self._found.embeddings[file_id] = vector.numpy()
        self._done += len(batch)
        if self._on_progress:
            self._on_progress(self._done, len(self._files))


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


def _decode(encoder: Encoder, files: Mapping[str, Path], found: EmbeddedFiles) -> Iterator[tuple[str, Tensor]]:
    """Yield each waveform that can be embedded; note lengths, warnings and errors."""
    for file_id, path in files.items():
        try:
            waveform = load_audio(path)
            check_length(waveform, encoder.min_samples, path)
            original_rate = probe_audio(path).sample_rate
        except DataError as error:
            found.errors[file_id] = str(error)
            continue
        found.seconds[file_id] = waveform.numel() / SAMPLE_RATE
        if warnings := waveform_warnings(waveform, original_rate):
            found.warnings[file_id] = warnings
        yield file_id, waveform


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


def waveform_warnings(waveform: Tensor, original_rate: int) -> list[str]:
    """Return what a user should know of (samples,) that can be embedded all the same."""
    warnings = ["silent"] if float(waveform.abs().max()) < SILENT_PEAK else []
    if original_rate < SAMPLE_RATE:
        warnings.append(f"upsampled from {original_rate} Hz")
    return warnings
