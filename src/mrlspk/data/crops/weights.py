"""Use items again and again by their weights, in passes that any place in the order can be found in."""

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

FINEST = 10_000  # largest denominator of a weight
_DRAW = 0, 0, 1  # behind the seed, apart from what other draws have there


class WeightedPasses:
    """How often each item is used in each of many passes: on average as often as its weight says.

    An item of weight 2 is used twice in every pass. Of those of weight 0.5 a drawn half is used in a pass, and the
    other half in the next. The length of a pass varies by one at most for each weight.

    Args:
        n_items: Number of items.
        weights: Of each item, rounded to ten-thousandths, (items,); None: 1.
        seed: Seed of the draw.
    """

    def __init__(self, n_items: int, weights: ArrayLike | None = None, *, seed: int) -> None:
        self.n_items = n_items
        self._groups: list[tuple[Fraction, NDArray[np.int64]]] = []  # items of each weight, in a drawn order
        if weights is None:
            return
        rng = np.random.default_rng([seed, *_DRAW])
        values, group_of = np.unique(np.maximum(np.round(np.asarray(weights) * FINEST), 1), return_inverse=True)
        for group, value in enumerate(values.tolist()):
            members = np.flatnonzero(group_of == group)
            self._groups.append((Fraction(int(value), FINEST), rng.permutation(members)))

    @property
    def mean_length(self) -> int:
        """Uses in a pass on average, rounded; at least one."""
        total = sum((weight * len(members) for weight, members in self._groups), Fraction(0))
        return max(round(total), 1) if self._groups else self.n_items

    def start(self, number: int) -> int:
        """Return the number of uses in all passes before one."""
        if not self._groups:
            return self.n_items * number
        return sum(int(weight * len(members) * number) for weight, members in self._groups)

    def find(self, use: int) -> int:
        """Return the pass that a use is in, counted over all passes."""
        number = use // self.mean_length
        while self.start(number) > use:
            number -= 1
        while self.start(number + 1) <= use:
            number += 1
        return number

    def n_passes_for(self, n_uses: int) -> int:
        """Return how many passes in a row have ``n_uses`` or more, wherever they begin."""
        number = ceil(n_uses / self.mean_length)
        while self.start(number) < n_uses:
            number += 1
        return number

    def uses_before(self, number: int) -> NDArray[np.int64]:
        """Return how often each item is used in all passes before one, (items,)."""
        found = np.full(self.n_items, number, np.int64)
        for weight, members in self._groups:
            # floor(number * weight + place / n), in whole numbers: the sum over places is floor(number * weight * n).
            n, (above, below) = len(members), weight.as_integer_ratio()
            found[members] = (above * number * n + np.arange(n) * below) // (below * n)
        return found

    def uses(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the item of each use in a pass, and how often it was used in all passes before that use, (uses,)."""
        before = self.uses_before(number)
        if not self._groups:
            return np.arange(self.n_items), before
        counts = self.uses_before(number + 1) - before
        items = np.repeat(np.arange(self.n_items), counts)
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        return items, before[items] + np.arange(len(items)) - firsts


def class_weights(weights: NDArray[np.float64] | None, classes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the mean weight of the items of each class, classes in order; None without weights."""
    if weights is None:
        return None
    places = np.unique(classes, return_inverse=True)[1]
    means: NDArray[np.float64] = np.bincount(places, weights) / np.bincount(places)
    return means
