"""Generate voices with the structure of speaker embeddings: gender, accent, channel, and values of falling scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.eer import equal_error_rate

BLOCK = 50_000
_GENDERS, _ACCENTS, _CHANNELS = 2, 40, 12


@dataclass(frozen=True)
class GeneratedVoices:
    """Enrolled vectors, and a noisy second recording of some of them.

    Attributes:
        enrolled: Unit vectors, (voices, dim).
        queries: Unit vectors, (queries, dim).
        targets: The voice of each query.
    """

    enrolled: NDArray[np.float32]
    queries: NDArray[np.float32]
    targets: NDArray[np.int64]

    def eer(self, dim: int) -> float:
        """Return the equal error rate of prefixes, every query against the voices of all queries."""
        enrolled, queries = _unit(self.enrolled[self.targets, :dim]), _unit(self.queries[:, :dim])
        return equal_error_rate((enrolled @ queries.T).ravel(), np.eye(len(queries), dtype=bool).ravel())


def generate_voices(voices: int, queries: int, *, dim: int = 256, seed: int = 0) -> GeneratedVoices:
    """Return ``voices`` enrolled vectors and second recordings of ``queries`` random ones of them."""
    rng = np.random.default_rng(seed)
    scale = _falling(dim, 1.28)
    genders, accents = _centres(rng, _GENDERS, 0.6 * scale), _centres(rng, _ACCENTS, 0.6 * scale)
    channels, noise = _centres(rng, _CHANNELS, 0.45 * scale), 0.75 * _falling(dim, 1.2)
    enrolled = np.empty((voices, dim), np.float32)
    targets = np.sort(rng.choice(voices, queries, replace=False))
    second = np.empty((queries, dim), np.float32)

    def record(voice: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        channel = channels[rng.integers(_CHANNELS, size=len(voice))]
        return _unit(voice + channel + rng.standard_normal(voice.shape, dtype=np.float32) * noise)

    for start in range(0, voices, BLOCK):
        size = min(BLOCK, voices - start)
        voice = rng.standard_normal((size, dim), dtype=np.float32) * scale
        voice += genders[rng.integers(_GENDERS, size=size)] + accents[rng.integers(_ACCENTS, size=size)]
        here = (targets >= start) & (targets < start + size)
        second[here] = record(voice[targets[here] - start], noise)
        enrolled[start : start + size] = record(voice, 0.6 * noise)  # enrolment averages several recordings
    return GeneratedVoices(enrolled, second, targets)


def _falling(dim: int, power: float) -> NDArray[np.float32]:
    return ((1 + np.arange(dim) / 16) ** -power).astype(np.float32)


def _centres(rng: np.random.Generator, count: int, scale: NDArray[np.float32]) -> NDArray[np.float32]:
    return rng.standard_normal((count, len(scale)), dtype=np.float32) * scale


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
