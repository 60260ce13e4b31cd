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
    by_length: dict[int, dict[str, Tensor]] = {}
    done = 0

    def flush(length: int) -> None:
        nonlocal done
        batch = by_length.pop(length)
        vectors = embed_batch(encoder, torch.stack(list(batch.values())), max_seconds=max_seconds)
        found.embeddings.update(zip(batch, vectors.numpy(), strict=True))
        done += len(batch)
        if on_progress:
            on_progress(done, len(files))

    for file_id, waveform in _decode(encoder, files, found):
        by_length.setdefault(waveform.numel(), {})[file_id] = waveform
        if len(by_length[waveform.numel()]) == batch_size:
            flush(waveform.numel())
        while sum(length * len(batch) for length, batch in by_length.items()) > MAX_PENDING_SAMPLES:
            flush(max(by_length, key=lambda length: length * len(by_length[length])))
    for length in list(by_length):
        flush(length)
    in_order = {file_id: found.embeddings[file_id] for file_id in files if file_id in found.embeddings}
    return EmbeddedFiles(in_order, found.seconds, found.warnings, found.errors)


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


def waveform_warnings(waveform: Tensor, original_rate: int) -> list[str]:
    """Return what a user should know of (samples,) that can be embedded all the same."""
    warnings = ["silent"] if float(waveform.abs().max()) < SILENT_PEAK else []
    if original_rate < SAMPLE_RATE:
        warnings.append(f"upsampled from {original_rate} Hz")
    return warnings
