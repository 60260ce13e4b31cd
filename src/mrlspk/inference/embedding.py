"""Embed recordings: decode and embed each once, and keep the embeddings in a cache."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mrlspk.data.audio import SAMPLE_RATE, load_audio, probe_audio
from mrlspk.data.inspection import SILENT_PEAK
from mrlspk.errors import DataError
from mrlspk.files import OnProgress
from mrlspk.inference.backend import Backend
from mrlspk.inference.batching import Batches, check_direction, check_length, mean_over_windows
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.cache_entries import Entry
from mrlspk.inference.cache_lookup import CacheLookup
from mrlspk.inference.recording import Detector, EmbeddedRecording, Recording, TooShort


@dataclass(frozen=True)
class EmbeddedRecordings:
    """Embeddings in the order in which the recordings were given, and why others have none.

    Attributes:
        embeddings: By recording.
        errors: Why a recording could not be embedded.
        too_short: Recordings whose source is shorter than their crop.
        n_cached: Recordings found in the cache, neither decoded nor embedded.
    """

    embeddings: dict[Recording, EmbeddedRecording]
    errors: dict[Recording, str]
    too_short: tuple[Recording, ...] = ()
    n_cached: int = 0


def embed_recordings(
    backend: Backend,
    recordings: Iterable[Recording],
    *,
    batch_size: int,
    max_seconds: float,
    speech: Detector | None = None,
    cache: EmbeddingCache | None = None,
    on_progress: OnProgress | None = None,
) -> EmbeddedRecordings:
    """Embed every recording once.

    A recording that cannot be embedded is listed under ``errors``; the others are embedded all the same. Recordings of
    one source that follow each other are decoded once.

    Args:
        backend: The model.
        recordings: Repeats are embedded once.
        batch_size: Recordings of equal length that are embedded together.
        max_seconds: Longer recordings are embedded as the mean of equal windows of at most this length.
        speech: Finds the speech, which alone is embedded; None to embed all audio.
        cache: Where embeddings are looked up and kept; None for nowhere.
        on_progress: Called with (recordings done, all recordings); a long one counts in part while it is embedded.
    """
    wanted = list(dict.fromkeys(recordings))
    results = _Results(len(wanted), on_progress)
    embed = partial(_embed, backend, results=results, batch_size=batch_size, max_seconds=max_seconds)
    if cache is None:
        embed(wanted)
    else:
        with closing(CacheLookup(cache, backend, max_seconds=max_seconds, speech=speech)) as lookup:
            results.lookup = lookup
            embed(lookup.missing(wanted, results.cached))
            embed(lookup.still_missing(results.cached))
    found = {each: results.entries[each] for each in wanted if each in results.entries}
    return EmbeddedRecordings(
        embeddings={each: entry for each, entry in found.items() if isinstance(entry, EmbeddedRecording)},
        errors=results.errors,
        too_short=tuple(each for each, entry in found.items() if isinstance(entry, TooShort)),
        n_cached=results.n_cached,
    )


class _Results:
    """Collect the results of a run, keep new ones in the cache, and report progress."""

    def __init__(self, n_recordings: int, on_progress: OnProgress | None) -> None:
        self.entries: dict[Recording, Entry] = {}
        self.errors: dict[Recording, str] = {}
        self.n_cached = 0
        self.lookup: CacheLookup | None = None
        self._n_recordings, self._on_progress, self._n_done = n_recordings, on_progress, 0
        self._decoded: dict[Recording, tuple[float, tuple[str, ...]]] = {}

    def cached(self, found: Mapping[Recording, Entry]) -> None:
        """Add what the cache holds of some recordings."""
        self.entries |= found
        self.n_cached += len(found)
        self._done(len(found))

    def decoded(self, recording: Recording, seconds: float, warnings: tuple[str, ...]) -> None:
        """Remember the length and the warnings of a recording that waits to be embedded."""
        self._decoded[recording] = seconds, warnings

    def embedded(self, recording: Recording, vector: Tensor) -> None:
        """Add an embedding (embed_dim,), or an error if it cannot be brought to unit length."""
        seconds, warnings = self._decoded.pop(recording)
        try:
            check_direction(vector, str(recording.source))
        except DataError as error:
            self.failed(recording, error)
        else:
            self.add(recording, EmbeddedRecording(vector.numpy(), seconds, warnings))

    def add(self, recording: Recording, entry: Entry) -> None:
        """Add the result of a recording, and keep it in the cache."""
        self.entries[recording] = entry
        if self.lookup:
            self.lookup.keep(recording, entry)
        self._done(1)

    def failed(self, recording: Recording, error: DataError) -> None:
        """Add why a recording could not be embedded."""
        self.errors[recording] = str(error)
        self._done(1)

    def _done(self, count: int) -> None:
        self._n_done += count
        if self._on_progress:
            self._on_progress(self._n_done, self._n_recordings)


def _embed(
    backend: Backend, recordings: Iterable[Recording], *, results: _Results, batch_size: int, max_seconds: float
) -> None:
    embed = partial(embed_waveforms, backend, max_seconds=max_seconds)
    batches = Batches(embed, batch_size=batch_size, on_embedded=results.embedded)
    for recording, waveform in _decode(recordings, backend, results):
        batches.add(recording, waveform)
    batches.embed_all()


def embed_waveform(
    backend: Backend,
    waveform: NDArray[np.float32],
    where: str,
    *,
    max_seconds: float,
    speech: Detector | None = None,  # noqa: ARG001 - used with the windows of speech
) -> EmbeddedRecording:
    """Embed decoded samples (samples,) at the backend's sample rate, as `embed_recordings` embeds a recording.

    Args:
        backend: The model.
        waveform: In [-1, 1].
        where: Its name in messages.
        max_seconds: As of `embed_recordings`.
        speech: Likewise.

    Raises:
        DataError: If the samples are too few, or give no embedding.
    """
    samples, rate = torch.from_numpy(waveform), backend.sample_rate
    check_length(samples, backend.min_samples, where, sample_rate=rate)
    vector = embed_waveforms(backend, samples[None], max_seconds=max_seconds)[0]
    check_direction(vector, where)
    warnings = tuple(waveform_warnings(samples, rate, sample_rate=rate))
    return EmbeddedRecording(vector.numpy(), len(waveform) / rate, warnings)


def embed_waveforms(backend: Backend, waveforms: Tensor, *, max_seconds: float) -> Tensor:
    """Map (batch, samples) at the backend's sample rate to (batch, embed_dim), not of unit length.

    More than ``max_seconds`` are embedded in windows whose embeddings are averaged: a linear mean, so that a prefix of
    it is the mean of the prefixes.
    """

    def embed(window: Tensor) -> Tensor:
        return torch.from_numpy(np.array(backend.embed(window.numpy()), np.float32))  # a copy, always writable

    return mean_over_windows(embed, waveforms, max_seconds=max_seconds, sample_rate=backend.sample_rate)


def _decode(recordings: Iterable[Recording], backend: Backend, results: _Results) -> Iterator[tuple[Recording, Tensor]]:
    """Yield each waveform that can be embedded; recordings of one source that follow each other are decoded once."""
    rate = backend.sample_rate
    for source, group in groupby(recordings, key=lambda each: each.source):
        try:
            whole, original_rate = load_audio(source, sample_rate=rate), probe_audio(source).sample_rate
        except DataError as error:
            for recording in group:
                results.failed(recording, error)
            continue
        for recording in group:
            waveform = recording.crop(whole, sample_rate=rate)
            if waveform is None:
                results.add(recording, TooShort(whole.numel() / rate))
                continue
            try:
                check_length(waveform, backend.min_samples, str(source), sample_rate=rate)
            except DataError as error:
                results.failed(recording, error)
                continue
            warnings = tuple(waveform_warnings(waveform, original_rate, sample_rate=rate))
            results.decoded(recording, waveform.numel() / rate, warnings)
            yield recording, waveform


def unit_prefix(vector: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Return the first ``dim`` values of (embed_dim,) at unit length: cut first, then normalised.

    Raises:
        ValueError: If the embedding is narrower than ``dim``.
    """
    if not 0 < dim <= vector.shape[-1]:
        raise ValueError(f"a width of {dim} cannot be cut from {vector.shape[-1]} values")
    unit: NDArray[np.float32] = functional.normalize(torch.from_numpy(vector[:dim]), dim=-1).numpy()
    return unit


def waveform_warnings(waveform: Tensor, original_rate: int, *, sample_rate: int = SAMPLE_RATE) -> list[str]:
    """Return the warnings about (samples,) that can be embedded all the same."""
    warnings = ["silent"] if float(waveform.abs().max()) < SILENT_PEAK else []
    if original_rate < sample_rate:
        warnings.append(f"upsampled from {original_rate} Hz")
    return warnings
