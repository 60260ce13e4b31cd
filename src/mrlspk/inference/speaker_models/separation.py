"""Measure how far pairs of one speaker stand out from pairs of two, for a front end and for its nearest others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel, Waveform
from mrlspk.metrics.cosine import cosine_scores

STANDS_OUT = 2.5  # deviations: an equal error rate of about a tenth, were both kinds of pairs normally distributed
BETTER = 1.15  # times the distance: on few speakers the window moves it by less
OTHERS: dict[str, tuple[Any, ...]] = {
    "window": ("hamming", "povey"),
    "mean": ("utterance", "none"),
    "sample_scale": (1, 32768),
}


@dataclass(frozen=True)
class Separation:
    """Cosines of pairs of recordings.

    Attributes:
        same: Mean over pairs of one speaker.
        different: Mean over pairs of two speakers.
        distance: Difference of the means in standard deviations (d').
    """

    same: float
    different: float
    distance: float

    @property
    def separated(self) -> bool:
        """Whether the pairs of one speaker stand out."""
        return self.distance >= STANDS_OUT


def measure_separation(vectors: NDArray[np.floating], speakers: Sequence[str]) -> Separation:
    """Return the separation of all pairs of embeddings (recordings, embed_dim); some pairs are of one speaker."""
    first, second = np.triu_indices(len(vectors), 1)
    names = np.array(speakers)
    is_same = names[first] == names[second]
    scores = cosine_scores(vectors[first], vectors[second])
    same, different = scores[is_same], scores[~is_same]
    spread = float(np.sqrt((same.var() + different.var()) / 2))
    gap = float(same.mean() - different.mean())
    return Separation(float(same.mean()), float(different.mean()), gap / max(spread, 1e-9))


def other_front_ends(front_end: KaldiFbank | NemoMel | Waveform) -> Iterator[tuple[str, KaldiFbank]]:
    """Yield filter banks that differ in one value from those of a model, each with that value in words."""
    if not isinstance(front_end, KaldiFbank):
        return
    for key, values in OTHERS.items():
        for value in values:
            if value != getattr(front_end, key):
                yield f"{key}: {value}", front_end.model_copy(update={key: value})
