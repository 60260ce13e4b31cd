"""Group the recordings of a voice by condition, such as headset and telephone, and average each group."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.enrolment.groups import MOST_RECORDINGS, Labels, Vectors, cluster, split_in_two
from mrlspk.index.enrolment.mean_vectors import mean_vector

SPLIT_RATIO = 0.7  # of headset and telephone it is lower in 3 of 4 voices, of one condition in 1 of 100
FEWEST = 3  # recordings of a condition: the mean of fewer is worse than the mean of all
MOST = 4  # profiles that `auto` makes

type ProfileLimit = int | Literal["auto"]


def average_by_condition(
    vectors: Vectors, weights: NDArray[np.float64], name: str, *, limit: ProfileLimit, centre: Vectors
) -> Vectors:
    """Return the condition profiles (profiles, dim) of a voice at unit length.

    Args:
        vectors: Unit vectors (recordings, dim).
        weights: (recordings,), such as seconds of speech.
        name: Of the voice, for errors.
        limit: As of `group_by_condition`.
        centre: As of `find_centre`.

    Raises:
        DataError: If the recordings of a profile have no mean.
    """
    labels = group_by_condition(vectors, limit=limit, centre=centre)
    groups = [labels == label for label in range(labels.max() + 1)]
    return np.stack([mean_vector(vectors[group], weights[group], name) for group in groups])


def group_by_condition(vectors: Vectors, *, limit: ProfileLimit, centre: Vectors) -> Labels:
    """Return the profile of each of unit vectors (recordings, dim), numbered from 0.

    Args:
        vectors: Of the recordings of a voice.
        limit: 1: one profile. A number: that many, if there are so many recordings. ``auto``: one, and more only for
            groups of three or more recordings that are far from each other; one for more than 1,000 recordings.
        centre: As of `find_centre`.
    """
    if limit != "auto":
        return np.zeros(len(vectors), np.int64) if limit == 1 else cluster(vectors, limit, centre)
    labels = np.zeros(len(vectors), np.int64)
    waiting = [np.arange(len(vectors))]
    while waiting and labels.max() + 1 < MOST:
        rows = waiting.pop(0)
        if not 2 * FEWEST <= len(rows) <= MOST_RECORDINGS:
            continue
        groups = split_in_two(vectors[rows], centre)
        if groups.ratio < SPLIT_RATIO and len(groups.smaller) >= FEWEST:
            labels[rows[groups.smaller]] = labels.max() + 1
            waiting += [rows[groups.larger], rows[groups.smaller]]
    return labels
