"""Embed recordings: decode and embed each once, and keep the embeddings in a cache."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError
from mrlspk.files import OnProgress
from mrlspk.inference.backend import Backend
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.cache_entries import Entry
from mrlspk.inference.cache_lookup import CacheLookup
from mrlspk.inference.embed_stream import embed_stream
from mrlspk.inference.recording import EmbeddedRecording, Recording, TooShort

log = logging.getLogger("mrlspk.encoding")

SHORTEST = np.float32(1e-12)  # a length to divide by


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
    batch_seconds: float | None = None,
    speech: SpeechDetector | None = None,
    cache: EmbeddingCache | None = None,
    on_progress: OnProgress | None = None,
) -> EmbeddedRecordings:
    """Embed every recording once.

    A recording that cannot be embedded is listed under ``errors``; the others are embedded all the same. Recordings of
    one source that follow each other are decoded once. A recording of several windows takes the memory of a few; a
    long one is decoded a second time.

    Args:
        backend: The model.
        recordings: Repeats are embedded once.
        batch_size: Recordings of equal length that are embedded together.
        max_seconds: More is embedded in equal windows of at most this length, as the mean of their unit vectors.
        batch_seconds: Most seconds of a batch of more than one; None: what suits the backend.
        speech: Finds the speech, which alone is embedded unless there is none; None to embed all audio.
        cache: Where embeddings are looked up and kept; None for nowhere.
        on_progress: Called with (recordings done, all recordings); a long one counts in part while it is embedded.
    """
    wanted = list(dict.fromkeys(recordings))
    results = _Results(len(wanted), on_progress)

    def embed(some: Iterable[Recording]) -> None:
        for recording, outcome in embed_stream(
            backend,
            some,
            batch_size=batch_size,
            batch_seconds=batch_seconds,
            max_seconds=max_seconds,
            speech=speech,
            on_part=results.part_done if on_progress else None,
        ):
            results.add(recording, outcome)

    if cache is None:
        embed(wanted)
    else:
        lookup = CacheLookup(cache, backend, max_seconds=max_seconds, speech=speech)
        with results.telling_what_is_kept(cache), closing(lookup):
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

    @contextmanager
    def telling_what_is_kept(self, cache: EmbeddingCache) -> Iterator[None]:
        """Tell what the cache keeps if Ctrl-C or SIGTERM ends the block."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if self._n_done and cache.is_kept:
                done = f"{len(self.entries)} of {self._n_recordings} embeddings"
                log.warning("%s keeps %s: the same command goes on from there", cache.folder, done)
            raise

    def cached(self, found: Mapping[Recording, Entry]) -> None:
        """Add what the cache holds of some recordings."""
        self.entries |= found
        self.n_cached += len(found)
        self._done(len(found))

    def part_done(self, part: float) -> None:
        """Report the part, in [0, 1), of a long recording that is done."""
        if self._on_progress:
            self._on_progress(self._n_done + part, self._n_recordings)

    def add(self, recording: Recording, outcome: Entry | DataError) -> None:
        """Add the result of a recording, and keep it in the cache, or why it could not be embedded."""
        if isinstance(outcome, DataError):
            self.errors[recording] = str(outcome)
        else:
            self.entries[recording] = outcome
            if self.lookup:
                self.lookup.keep(recording, outcome)
        self._done(1)

    def _done(self, count: int) -> None:
        self._n_done += count
        if self._on_progress:
            self._on_progress(self._n_done, self._n_recordings)


def unit_prefix(vector: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Return the first ``dim`` values of (embed_dim,) at unit length: cut first, then normalised.

    Raises:
        ValueError: If the embedding is narrower than ``dim``.
    """
    if not 0 < dim <= vector.shape[-1]:
        raise ValueError(f"a width of {dim} cannot be cut from {vector.shape[-1]} values")
    prefix = vector[:dim]
    unit: NDArray[np.float32] = prefix / np.maximum(np.linalg.norm(prefix), SHORTEST)
    return unit
