"""Draw items again and again by their weights, in passes that any place in the order can be found in."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

STREAM = 2**32 - 1  # of the generator of the offsets, which no pass has


@dataclass(frozen=True, eq=False)
class WeightedPasses:
    """Passes over items in which one of weight w is drawn w times; of a fraction, at evenly spaced passes.

    Attributes:
        weights: (items,), above 0.
        seed: Seed of the passes in which an item of a fraction is drawn.
    """

    weights: NDArray[np.float64]
    seed: int

    @cached_property
    def _offsets(self) -> NDArray[np.float64]:
        return np.random.default_rng([self.seed, STREAM]).random(len(self.weights))

    def draws_before(self, number: int) -> NDArray[np.int64]:
        """Return how often each item is drawn in the passes before one, (items,)."""
        return np.floor(number * self.weights + self._offsets).astype(np.int64)

    def find(self, place: int) -> tuple[int, int]:
        """Return the pass of a place in the order of all draws, and how many draws of that pass are before it."""
        number = int(place / self.weights.sum())
        while self.draws_before(number + 1).sum() <= place:
            number += 1
        while (before := int(self.draws_before(number).sum())) > place:
            number -= 1
        return number, place - before

    def draw(self, number: int, *, since: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the items of a pass, (draws,), and how often each was drawn before in the passes from ``since`` on."""
        before, after = self.draws_before(number), self.draws_before(number + 1)
        counts = after - before
        items = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(len(items)) - np.repeat(np.cumsum(counts) - counts, counts)
        return items, (before - self.draws_before(since))[items] + nth


def class_weights(weights: NDArray[np.float64] | None, classes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the mean weight of the items of each class, classes in order; None without weights."""
    if weights is None:
        return None
    places = np.unique(classes, return_inverse=True)[1]
    means: NDArray[np.float64] = np.bincount(places, weights) / np.bincount(places)
    return means
