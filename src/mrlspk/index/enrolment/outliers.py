"""Find recordings that do not match the others of their voice, such as another speaker under one name."""

import numpy as np

from mrlspk.index.enrolment.groups import MOST_RECORDINGS, Vectors, are_alike, split_in_two

OUTLIER_RATIO = 0.3
FEWEST = 3  # two recordings that differ do not tell which of them is wrong


def find_outliers(vectors: Vectors, centre: Vectors) -> tuple[int, ...]:
    """Return the rows of unit vectors (recordings, dim) that do not match the others.

    The recordings are split in two. The smaller group does not match if its cosines with the larger one are below
    ``OUTLIER_RATIO`` of the cosines within the groups: the voice's own recordings are the scale, so there is no
    threshold of a model. The larger group is looked at again. More than 1,000 recordings are not searched.

    Args:
        vectors: Of the recordings of a voice.
        centre: As of `find_centre`.
    """
    rows = np.arange(len(vectors))
    found: list[int] = []
    while FEWEST <= len(rows) <= MOST_RECORDINGS and not are_alike(vectors[rows], centre, OUTLIER_RATIO):
        groups = split_in_two(vectors[rows], centre)
        if groups.ratio >= OUTLIER_RATIO:
            break
        found += rows[groups.smaller].tolist()
        rows = rows[groups.larger]
    return tuple(sorted(found))
