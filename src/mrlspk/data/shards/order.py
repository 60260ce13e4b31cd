"""Shuffle utterances so that only the shards of a window are mixed, and read, at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError


def number_shards(archives: Iterable[str | None], corpus: Path) -> NDArray[np.int64]:
    """Return the shard of each recording, (recordings,), numbered as they come; all that are in none are one.

    Args:
        archives: That the recordings are in; None for a file.
        corpus: For messages.

    Raises:
        DataError: If none of them is in a shard.
    """
    numbers: dict[str | None, int] = {}
    found = np.array([numbers.setdefault(each, len(numbers)) for each in archives], np.int64)
    if not numbers.keys() - {None}:
        fix = "Pack it with `mrlspk data pack`, or leave out data.shuffle_window."
        raise DataError("expected shards for data.shuffle_window, got files", corpus, fix)
    return found


@dataclass(frozen=True, eq=False)
class ShardWindow:
    """Shuffle the items of a few shards among each other at a time.

    Attributes:
        shards: Shard of every item, (items,).
        n_shards: In a window; the last may have fewer.
    """

    shards: NDArray[np.int64]
    n_shards: int

    def permutation(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return all items in a random order: the shards are shuffled and divided into windows."""
        numbers, shard_of = np.unique(self.shards, return_inverse=True)
        window_of = (rng.permutation(len(numbers)) // self.n_shards)[shard_of]
        shuffled = rng.permutation(len(self.shards))
        return shuffled[np.argsort(window_of[shuffled], kind="stable")]
