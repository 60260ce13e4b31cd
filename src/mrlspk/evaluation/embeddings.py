"""Every recording that an evaluation needs, embedded once for all lists, widths and lengths."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.errors import DataError
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.embedding import EmbeddedFiles, Recording, embed_files
from mrlspk.inference.fingerprint import model_fingerprint
from mrlspk.models.encoder import Encoder

log = logging.getLogger("mrlspk.evaluation")

SHOWN_ERRORS = 10


@dataclass(frozen=True)
class Embedder:
    """A model and how it embeds.

    Attributes:
        encoder: In evaluation mode, on its device.
        fingerprint: Of its weights.
        batch_size: Recordings of equal length embedded together.
        max_seconds: Longer recordings are embedded in averaged windows.
        cache: Where embeddings are kept; None for nowhere.
        on_progress: Called with (recordings done, all recordings).
    """

    encoder: Encoder
    fingerprint: str
    batch_size: int
    max_seconds: float
    cache: EmbeddingCache | None = None
    on_progress: Callable[[int, int], None] | None = None

    def embed(self, recordings: Iterable[Recording]) -> "Embeddings":
        """Return the embeddings of all of them, each made once.

        Raises:
            DataError: If one cannot be read or embedded.
        """
        named = {_name(recording): recording for recording in recordings}
        found = embed_files(
            self.encoder,
            named,
            batch_size=self.batch_size,
            max_seconds=self.max_seconds,
            cache=self.cache,
            on_progress=self.on_progress,
        )
        _check(found, len(named))
        return Embeddings(found)


@dataclass(frozen=True)
class Embeddings:
    """Embeddings by recording; a recording shorter than the crop asked for has none."""

    found: EmbeddedFiles

    def of(self, paths: Mapping[str, Path], *, crop_seconds: float | None = None) -> dict[str, NDArray[np.float32]]:
        """Return the embedding (embed_dim,), not of unit length, by utterance id, of those that have one."""
        names = {utterance_id: _name(Recording(path, crop_seconds)) for utterance_id, path in paths.items()}
        vectors = self.found.embeddings
        return {utterance_id: vectors[name] for utterance_id, name in names.items() if name in vectors}

    def turned(self, matrix: NDArray[np.float64]) -> "Embeddings":
        """Return the same embeddings, each multiplied by a matrix (embed_dim, embed_dim)."""
        names, vectors = [*self.found.embeddings], np.stack([*self.found.embeddings.values()])
        rows = (vectors @ matrix.T).astype(np.float32)
        return Embeddings(replace(self.found, embeddings=dict(zip(names, rows, strict=True))))

    def seconds_of(self, paths: Mapping[str, Path]) -> dict[str, float]:
        """Return the length by utterance id."""
        return {utterance_id: self.found.seconds[_name(Recording(path))] for utterance_id, path in paths.items()}


def build_embedder(
    encoder: Encoder,
    settings: EvaluationConfig,
    *,
    cache_dir: Path | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Embedder:
    """Return what embeds with ``encoder``, which is on its device, as the configuration says.

    Args:
        encoder: In evaluation mode.
        settings: Its ``batch_size``, ``max_seconds`` and ``cache`` are used.
        cache_dir: Folder in which embeddings are kept; None for nowhere.
        on_progress: Called with (recordings done, all recordings).
    """
    return Embedder(
        encoder=encoder,
        fingerprint=model_fingerprint(encoder),
        batch_size=settings.batch_size,
        max_seconds=settings.max_seconds,
        cache=EmbeddingCache(cache_dir) if settings.cache and cache_dir else None,
        on_progress=on_progress,
    )


def _name(recording: Recording) -> str:
    path = str(recording.path)
    return path if recording.crop_seconds is None else f"{path} (the middle {recording.crop_seconds:g} s)"


def _check(found: EmbeddedFiles, n_recordings: int) -> None:
    """Log what is odd.

    Raises:
        DataError: If a recording could not be embedded.
    """
    if found.errors:
        problems = list(found.errors.values())
        more = [f"and {len(problems) - SHOWN_ERRORS} more"] if len(problems) > SHOWN_ERRORS else []
        raise DataError(
            "\n".join(
                [f"{len(problems)} of {n_recordings} utterances cannot be embedded:", *problems[:SHOWN_ERRORS], *more]
            ),
            fix="Mend the recordings, or leave their trials out of the list.",
        )
    for name, warnings in found.warnings.items():
        log.warning("%s: %s", name, ", ".join(warnings))
