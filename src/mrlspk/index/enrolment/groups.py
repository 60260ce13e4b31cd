"""Split the recordings of a voice into groups that are alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.enrolment.mean_vectors import unit_vectors

type Labels = NDArray[np.int64]  # (recordings,) group of each, from 0
type Vectors = NDArray[np.float32]

FEWEST_VOICES = 20  # whose mean is the centre
MOST_RECORDINGS = 1000  # of a voice that are compared with each other


@dataclass(frozen=True, eq=False)
class TwoGroups:
    """Recordings in two groups.

    Attributes:
        smaller: Rows of the smaller group; of equal ones, of the one without the first recording.
        larger: Rows of the other.
        ratio: Mean cosine of recordings of different groups over that of recordings of one group: about 1 for
            recordings that are alike, about 0 for different speakers. It has no unit, so that it means the same for
            every model.
    """

    smaller: NDArray[np.int64]
    larger: NDArray[np.int64]
    ratio: float


def find_centre(voices: Vectors) -> Vectors:
    """Return the mean (dim,) of the vectors (n, dim) of voices, or zeros for fewer than 20.

    Cosines of centred vectors are about 0 for different speakers, whatever the model; those of some models are not.
    """
    if len(voices) < FEWEST_VOICES:
        return np.zeros(voices.shape[1], np.float32)
    mean: Vectors = voices.astype(np.float64).mean(0).astype(np.float32)
    return mean


def split_in_two(vectors: Vectors, centre: Vectors) -> TwoGroups:
    """Split unit vectors (n, dim), three or more, by average linkage of the cosines of the centred vectors."""
    labels = cluster(vectors, 2, centre)
    cosines = _cosines(vectors, centre)
    same = labels[:, None] == labels[None]
    within = float(cosines[same & ~np.eye(len(vectors), dtype=bool)].mean())
    between = float(cosines[~same].mean())
    first, second = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    smaller, larger = (first, second) if len(first) < len(second) else (second, first)
    return TwoGroups(smaller, larger, between / within if within > 0 else 1.0)


def are_alike(vectors: Vectors, centre: Vectors, ratio: float) -> bool:
    """Return whether no split in two can have a lower ratio, which takes a fraction of the time of a split."""
    cosines = _cosines(vectors, centre)[np.triu_indices(len(vectors), 1)]
    return bool(cosines.min() >= ratio * max(cosines.max(), 0))


def cluster(vectors: Vectors, n_groups: int, centre: Vectors) -> Labels:
    """Return the group of each of unit vectors (n, dim) by average linkage of the cosines of the centred vectors.

    Groups are numbered in the order of their first recordings. There are ``n_groups``, or one for each recording.
    """
    from scipy.cluster.hierarchy import cut_tree, linkage

    if len(vectors) <= n_groups:
        return np.arange(len(vectors))
    distances = 1 - _cosines(vectors, centre)[np.triu_indices(len(vectors), 1)]
    found = cut_tree(linkage(np.maximum(distances, 0), "average"), n_groups)[:, 0]
    _, firsts, labels = np.unique(found, return_index=True, return_inverse=True)
    numbers: Labels = np.argsort(np.argsort(firsts))[labels]
    return numbers


def _cosines(vectors: Vectors, centre: Vectors) -> NDArray[np.float64]:
    """Return the cosines (n, n) of centred vectors."""
    away = vectors - centre
    centred = unit_vectors(np.where(away.any(axis=1, keepdims=True), away, vectors)).astype(np.float64)
    return np.asarray(centred @ centred.T)
