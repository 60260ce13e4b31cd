"""Embed recordings: decode and embed each once, and keep the embeddings in a cache."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError
from mrlspk.files import OnProgress
from mrlspk.inference.backend import Backend
from mrlspk.inference.batching import Batches, check_direction
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.cache_entries import Entry
from mrlspk.inference.cache_lookup import CacheLookup
from mrlspk.inference.decoding import Decoded, decode
from mrlspk.inference.recording import EmbeddedRecording, Recording, TooShort
from mrlspk.inference.windows import Vector, embed_windows, find_peak, keep_speech, unit_mean

DECODING_SHARE = 0.1  # of the progress of a long recording; the rest is embedding


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
    speech: SpeechDetector | None = None,
    cache: EmbeddingCache | None = None,
    on_progress: OnProgress | None = None,
) -> EmbeddedRecordings:
    """Embed every recording once.

    A recording that cannot be embedded is listed under ``errors``; the others are embedded all the same. Recordings of
    one source that follow each other are decoded once. A recording of several windows is embedded window after window,
    in the memory of one: decoded a second time if it is long.

    Args:
        backend: The model.
        recordings: Repeats are embedded once.
        batch_size: Recordings of equal length that are embedded together.
        max_seconds: More is embedded in equal windows of at most this length, as the mean of their unit vectors.
        speech: Finds the speech, which alone is embedded unless there is none; None to embed all audio.
        cache: Where embeddings are looked up and kept; None for nowhere.
        on_progress: Called with (recordings done, all recordings); a long one counts in part while it is embedded.
    """
    wanted = list(dict.fromkeys(recordings))
    results = _Results(len(wanted), on_progress)
    embed = _Run(backend, results, batch_size=batch_size, max_seconds=max_seconds, speech=speech).embed
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
        self._waiting: dict[Recording, Callable[[Vector], EmbeddedRecording]] = {}

    def cached(self, found: Mapping[Recording, Entry]) -> None:
        """Add what the cache holds of some recordings."""
        self.entries |= found
        self.n_cached += len(found)
        self._done(len(found))

    def waits(self, recording: Recording, with_vector: Callable[[Vector], EmbeddedRecording]) -> None:
        """Remember what else is known of a recording that waits to be embedded."""
        self._waiting[recording] = with_vector

    def embedded(self, recording: Recording, vector: Vector) -> None:
        """Add an embedding (embed_dim,), or an error if it cannot be brought to unit length."""
        embedded = self._waiting.pop(recording)(vector)
        try:
            check_direction(vector, str(recording.source))
        except DataError as error:
            self.failed(recording, error)
        else:
            self.add(recording, embedded)

    def part_done(self, part: float) -> None:
        """Report the part, in [0, 1], of a long recording that is done."""
        if self._on_progress and part < 1:
            self._on_progress(self._n_done + part, self._n_recordings)

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


class _Run:
    """Decode and embed recordings that are not in the cache.

    Args:
        backend: The model.
        results: Where the embeddings go.
        batch_size: As of `embed_recordings`.
        max_seconds: Likewise.
        speech: Likewise.
    """

    def __init__(
        self,
        backend: Backend,
        results: _Results,
        *,
        batch_size: int,
        max_seconds: float,
        speech: SpeechDetector | None,
    ) -> None:
        self._embed = partial(embed_batch, backend)
        self._batches = Batches(self._embed, batch_size=batch_size, on_embedded=results.embedded)
        self._results, self._min_samples, self._max_seconds = results, backend.min_samples, max_seconds
        self._decode = partial(decode, sample_rate=backend.sample_rate, speech=speech, on_part=self._decoded)

    def embed(self, recordings: Iterable[Recording]) -> None:
        """Embed recordings; those of one source that follow each other are decoded once."""
        for source, group in groupby(recordings, key=lambda each: each.source):
            try:
                decoded = self._decode(source)
            except DataError as error:
                for recording in group:
                    self._results.failed(recording, error)
                continue
            for recording in group:
                try:
                    self._embed_one(recording, decoded)
                except DataError as error:
                    self._results.failed(recording, error)
        self._batches.embed_all()

    def _embed_one(self, recording: Recording, decoded: Decoded) -> None:
        """Embed a recording of several windows; let one of a single window wait for others of its length.

        Raises:
            DataError: If it cannot be embedded.
        """
        kept, crop_seconds = keep_speech(decoded, min_samples=self._min_samples), recording.crop_seconds
        if kept.is_shorter_than(crop_seconds) and not recording.short_is_whole:
            self._results.add(recording, TooShort(kept.seconds))
            return
        windows = kept.cut(max_seconds=self._max_seconds, min_samples=self._min_samples, crop_seconds=crop_seconds)
        if len(windows.spans) == 1:
            samples = next(windows.read())
            self._results.waits(recording, windows.recording_of(find_peak(samples)))
            self._batches.add(recording, samples)
        else:
            embedded = embed_windows(self._embed, windows, mean=unit_mean, on_part=self._embedded)
            check_direction(embedded.vector, str(recording.source))
            self._results.add(recording, embedded)

    def _decoded(self, part: float) -> None:
        self._results.part_done(DECODING_SHARE * part)

    def _embedded(self, part: float) -> None:
        self._results.part_done(DECODING_SHARE + (1 - DECODING_SHARE) * part)


def embed_batch(backend: Backend, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map (batch, samples) at the backend's sample rate to a writable copy of its vectors (batch, embed_dim)."""
    return np.array(backend.embed(waveforms), np.float32)


def unit_prefix(vector: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Return the first ``dim`` values of (embed_dim,) at unit length: cut first, then normalised.

    Raises:
        ValueError: If the embedding is narrower than ``dim``.
    """
    if not 0 < dim <= vector.shape[-1]:
        raise ValueError(f"a width of {dim} cannot be cut from {vector.shape[-1]} values")
    unit: NDArray[np.float32] = functional.normalize(torch.from_numpy(vector[:dim]), dim=-1).numpy()
    return unit
