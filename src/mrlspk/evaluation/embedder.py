"""Embed the recordings of an evaluation, each once for all lists, widths and durations."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig, SpeechMode
from mrlspk.data.audio.source import AudioSource, Channel, as_source, take_channel
from mrlspk.data.speech.build import build_detector
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError
from mrlspk.files import OnProgress
from mrlspk.inference.backend import Backend
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.embedding import EmbeddedRecordings, embed_recordings
from mrlspk.inference.recording import SHORT, EmbeddedRecording, Recording

log = logging.getLogger("mrlspk.evaluation")

SHOWN_ERRORS = 10


class EmbeddingSource(Protocol):
    """Gives the embeddings of recordings: a model, or a file of vectors."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""

    @property
    def embed_dim(self) -> int:
        """The full width."""

    @property
    def reads_audio(self) -> bool:
        """Whether any recording can be embedded."""

    @property
    def speech_mode(self) -> SpeechMode:
        """Mode of the speech that is embedded."""

    @property
    def speech_version(self) -> str | None:
        """Version of the detector; None for whole recordings."""

    def embed(self, recordings: Iterable[Recording]) -> "Embeddings":
        """Return the embeddings of all recordings, each embedded once."""


@dataclass(frozen=True)
class Embedder:
    """A model with its settings for embedding.

    Attributes:
        backend: The model.
        batch_size: Recordings of equal length embedded together.
        max_seconds: Longer recordings are embedded as the average of windows.
        speech: Finds the speech, which alone is embedded; None to embed all audio.
        channel: Channel to embed of every recording.
        cache: Cached embeddings; None for no cache.
        on_progress: Called with (recordings done, all recordings).
    """

    backend: Backend
    batch_size: int
    max_seconds: float
    speech: SpeechDetector | None = None
    channel: Channel = "mix"
    cache: EmbeddingCache | None = None
    on_progress: OnProgress | None = None

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""
        return self.backend.fingerprint

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.backend.embed_dim

    @property
    def reads_audio(self) -> bool:
        """True: any recording can be embedded."""
        return True

    @property
    def speech_mode(self) -> SpeechMode:
        """Mode of the speech that is embedded."""
        return self.speech.name if self.speech else "all"

    @property
    def speech_version(self) -> str | None:
        """Version of the detector; None for whole recordings."""
        return self.speech.version if self.speech else None

    def source_of(self, audio: AudioSource | Path) -> AudioSource:
        """Return the channel to embed of a recording."""
        return take_channel(as_source(audio), self.channel)

    def embed(self, recordings: Iterable[Recording]) -> "Embeddings":
        """Return the embeddings of all recordings, each embedded once.

        Raises:
            DataError: If one cannot be read or embedded.
        """
        wanted = {each: replace(each, source=self.source_of(each.source)) for each in recordings}
        found = self.try_embed(wanted.values())
        _check(found)
        return Embeddings({each: found.embeddings[its] for each, its in wanted.items() if its in found.embeddings})

    def try_embed(self, recordings: Iterable[Recording]) -> EmbeddedRecordings:
        """Embed recordings as their sources say, each once; errors list those that cannot be embedded."""
        return embed_recordings(
            self.backend,
            recordings,
            batch_size=self.batch_size,
            max_seconds=self.max_seconds,
            speech=self.speech,
            cache=self.cache,
            on_progress=self.on_progress,
        )


@dataclass(frozen=True)
class Embeddings:
    """Embeddings by recording; a recording shorter than its crop has none."""

    found: dict[Recording, EmbeddedRecording]

    def of(
        self, sources: Mapping[str, AudioSource | Path], *, crop_seconds: float | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return the embeddings (embed_dim,), not of unit length, by utterance id, without missing ones."""
        wanted = {each: Recording(as_source(source), crop_seconds) for each, source in sources.items()}
        return {utterance_id: self.found[each].vector for utterance_id, each in wanted.items() if each in self.found}

    def rotated(self, matrix: NDArray[np.float64]) -> "Embeddings":
        """Return the embeddings multiplied by a rotation matrix (embed_dim, embed_dim)."""
        rows = (np.stack([each.vector for each in self.found.values()]) @ matrix.T).astype(np.float32)
        pairs = zip(self.found.items(), rows, strict=True)
        return Embeddings({recording: replace(each, vector=row) for (recording, each), row in pairs})

    def have_directions(self, dim: int) -> bool:
        """Return whether the first ``dim`` values of no embedding are all zeros."""
        return all(each.vector[:dim].any() for each in self.found.values())

    def seconds_of(self, audio: Mapping[str, AudioSource]) -> dict[str, float]:
        """Return the durations of what was embedded, by utterance id."""
        return {utterance_id: self.found[Recording(source)].embedded_seconds for utterance_id, source in audio.items()}


def build_embedder(
    backend: Backend,
    settings: EvaluationConfig,
    *,
    cache_dir: Path | None,
    on_progress: OnProgress | None = None,
) -> Embedder:
    """Return an embedder with the settings of the configuration.

    Args:
        backend: The model.
        settings: Its ``batch_size``, ``max_seconds``, ``speech``, ``channel`` and ``cache`` are used.
        cache_dir: Folder of cached embeddings; None for no cache.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        MissingDependencyError: If the detector of speech is not installed.
    """
    return Embedder(
        backend=backend,
        batch_size=settings.batch_size,
        max_seconds=settings.max_seconds,
        speech=build_detector(settings.speech),
        channel=settings.channel,
        cache=EmbeddingCache(cache_dir) if settings.cache and cache_dir else None,
        on_progress=on_progress,
    )


def _check(found: EmbeddedRecordings) -> None:
    """Log the warnings of recordings, but not that they are short: the lists choose their lengths.

    Raises:
        DataError: If a recording could not be embedded.
    """
    if found.errors:
        problems = list(found.errors.values())
        n_recordings = len(problems) + len(found.embeddings) + len(found.too_short)
        more = [f"and {len(problems) - SHOWN_ERRORS} more"] if len(problems) > SHOWN_ERRORS else []
        raise DataError(
            "\n".join(
                [f"{len(problems)} of {n_recordings} utterances cannot be embedded:", *problems[:SHOWN_ERRORS], *more]
            ),
            fix="Repair the recordings, or remove their trials from the list.",
        )
    for recording, embedded in found.embeddings.items():
        if told := [warning for warning in embedded.warnings if warning != SHORT]:
            log.warning("%s: %s", recording, ", ".join(told))
