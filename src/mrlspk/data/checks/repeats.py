"""Find texts that are equal by some key, without keeping the keys of all."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np


def find_repeats(texts: Sequence[str], key: Callable[[str], str]) -> Iterator[tuple[int, int]]:
    """Yield the places of two texts with one key, the first and each later one; memory is eight bytes a text."""
    hashes = np.fromiter((hash(key(text)) for text in texts), np.int64, len(texts))
    values, counts = np.unique(hashes, return_counts=True)
    first: dict[str, int] = {}
    for place in map(int, np.flatnonzero(np.isin(hashes, values[counts > 1]))):
        other = first.setdefault(key(texts[place]), place)
        if other != place:
            yield other, place
