"""Audio files to embeddings: each decoded and embedded once, whatever asks for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.data.audio import SAMPLE_RATE, load_audio, probe_audio
from mrlspk.data.inspection import SILENT_PEAK
from mrlspk.errors import DataError
from mrlspk.inference.batching import Batches, check_direction, check_length, embed_batch
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.cached_run import CachedRun
from mrlspk.inference.kept import Kept
from mrlspk.inference.recording import Recording
from mrlspk.models.encoder import Encoder

__all__ = ["EmbeddedFiles", "Recording", "embed_files"]


@dataclass(frozen=True)
class EmbeddedFiles:
    """Embeddings by id, in the order in which the recordings were given, and what was seen on the way.

    Attributes:
        embeddings: (embed_dim,) float32 each, not yet of unit length.
        seconds: Length of what was embedded.
        warnings: Such as ``silent``; an id without any is absent.
        errors: Why a recording has no embedding.
        too_short: Ids that have no embedding since their file is shorter than the crop asked for.
        n_cached: Recordings that were neither decoded nor embedded, since the cache knew them.
    """

    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    too_short: list[str] = field(default_factory=list)
    n_cached: int = 0


def embed_files(
    encoder: Encoder,
    recordings: Mapping[str, Recording],
    *,
    batch_size: int,
    max_seconds: float,
    cache: EmbeddingCache | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EmbeddedFiles:
    """Embed every recording, on the device that the encoder is on.

    One that cannot be embedded is listed under ``errors``; the others are embedded all the same. Recordings of one file
    that stand next to each other are decoded once.

    Args:
        encoder: In evaluation mode.
        recordings: By id.
        batch_size: Recordings of equal length that go through the network together.
        max_seconds: Longer recordings are embedded as the mean of equal windows of at most this length.
        cache: Where embeddings are looked up, and kept; None: nowhere.
        on_progress: Called with (recordings done, all recordings).
    """
    found = EmbeddedFiles()
    note = _Notes(recordings, found, on_progress)
    embed = partial(_embed, encoder, note=note, batch_size=batch_size, max_seconds=max_seconds)
    if cache is None:
        embed(recordings.items())
    else:
        with closing(CachedRun(cache, encoder, max_seconds=max_seconds)) as known:
            note.known = known
            embed(known.missing(recordings, note.cached))
            embed(known.still_missing(note.cached))
    embeddings = {file_id: found.embeddings[file_id] for file_id in recordings if file_id in found.embeddings}
    short = set(found.too_short)
    too_short = [file_id for file_id in recordings if file_id in short]
    return replace(found, embeddings=embeddings, too_short=too_short, n_cached=note.n_cached)


class _Notes:
    """What becomes of each recording, written into ``found``; each is done once it has an embedding or cannot have."""

    def __init__(
        self,
        recordings: Mapping[str, Recording],
        found: EmbeddedFiles,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._recordings, self._found, self._on_progress = recordings, found, on_progress
        self._n_done = self.n_cached = 0
        self.known: CachedRun | None = None
        self._decoded: dict[str, tuple[float, tuple[str, ...]]] = {}

    def cached(self, known: Mapping[str, Kept]) -> None:
        """Note what the cache holds of some recordings."""
        for file_id, kept in known.items():
            self._add(file_id, kept)
        self.n_cached += len(known)
        self._done(len(known))

    def decoded(self, file_id: str, waveform: Tensor, original_rate: int) -> None:
        """Note what is known of (samples,) that wait to be embedded."""
        warnings = waveform_warnings(waveform, original_rate)
        self._decoded[file_id] = waveform.numel() / SAMPLE_RATE, tuple(warnings)

    def embedded(self, file_id: str, vector: Tensor) -> None:
        """Note an embedding (embed_dim,), or that it has no direction."""
        seconds, warnings = self._decoded.pop(file_id)
        try:
            check_direction(vector, self._recordings[file_id].path)
        except DataError as error:
            self.failed(file_id, error)
        else:
            self._made(file_id, Kept(vector.numpy(), seconds, warnings))

    def too_short(self, file_id: str, *, seconds: float) -> None:
        """Note a file that is shorter than the crop."""
        self._made(file_id, Kept(None, seconds))

    def failed(self, file_id: str, error: DataError) -> None:
        """Note why a recording has no embedding."""
        self._found.errors[file_id] = str(error)
        self._done(1)

    def _made(self, file_id: str, kept: Kept) -> None:
        self._add(file_id, kept)
        if self.known:
            self.known.keep(file_id, kept)
        self._done(1)

    def _add(self, file_id: str, kept: Kept) -> None:
        if kept.vector is None:
            self._found.too_short.append(file_id)
            return
        self._found.embeddings[file_id] = kept.vector
        self._found.seconds[file_id] = kept.seconds
        if kept.warnings:
            self._found.warnings[file_id] = list(kept.warnings)

    def _done(self, count: int) -> None:
        self._n_done += count
        if self._on_progress:
            self._on_progress(self._n_done, len(self._recordings))


def _embed(
    encoder: Encoder, recordings: Iterable[tuple[str, Recording]], *, note: _Notes, batch_size: int, max_seconds: float
) -> None:
    embed = partial(embed_batch, encoder, max_seconds=max_seconds)
    batches = Batches(embed, batch_size=batch_size, on_embedded=note.embedded)
    for file_id, waveform in _decode(recordings, encoder.min_samples, note):
        batches.add(file_id, waveform)
    batches.embed_all()


def _decode(
    recordings: Iterable[tuple[str, Recording]], min_samples: int, note: _Notes
) -> Iterator[tuple[str, Tensor]]:
    """Yield each waveform that can be embedded; a file is decoded once for recordings of it that follow each other."""
    for path, group in groupby(recordings, key=lambda each: each[1].path):
        try:
            whole, original_rate = load_audio(path), probe_audio(path).sample_rate
        except DataError as error:
            for file_id, _ in group:
                note.failed(file_id, error)
            continue
        for file_id, recording in group:
            waveform = recording.crop(whole)
            if waveform is None:
                note.too_short(file_id, seconds=whole.numel() / SAMPLE_RATE)
                continue
            try:
                check_length(waveform, min_samples, path)
            except DataError as error:
                note.failed(file_id, error)
                continue
            note.decoded(file_id, waveform, original_rate)
            yield file_id, waveform


def waveform_warnings(waveform: Tensor, original_rate: int) -> list[str]:
    """Return what a user should know of (samples,) that can be embedded all the same."""
    warnings = ["silent"] if float(waveform.abs().max()) < SILENT_PEAK else []
    if original_rate < SAMPLE_RATE:
        warnings.append(f"upsampled from {original_rate} Hz")
    return warnings
