"""Score candidates at the decision width, the same alone and in a batch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.funnel.arrays import Slots, VoicesOf
from mrlspk.index.funnel.codes import Floats, row_blocks
from mrlspk.index.funnel.numpy_scan import prefix_lengths

type Scores = NDArray[np.float64]

_BLOCK_ROWS = 256


def rounding_slack(dim: int) -> float:
    """Return how far two float32 cosines of ``dim`` values may be off, taken together."""
    return 4 * (dim + 16) * 2.0**-24


@dataclass(frozen=True)
class Ranking:
    """What makes the best voices of candidates.

    Attributes:
        profiles: Unit vectors, or prefixes of unit vectors, one row per slot.
        cut: True if they are prefixes.
        k: How many voices to return.
        voices_of: The voices that slots belong to; None if each slot is a voice of its own.
    """

    profiles: Floats
    cut: bool
    k: int
    voices_of: VoicesOf | None

    def best(self, slots: Slots, query: Scores, *, certain: int | None = None) -> tuple[Slots, Scores]:
        """Return the best slot of each of the best ``k`` voices, and their cosines, best first; ties: the lower slot.

        Float32 products, rounded in any order, find the few rows that matter. Their cosines are summed in float64 in
        a fixed order.

        Args:
            slots: The candidates.
            query: The query, cut to the width of the profiles, of unit length.
            certain: How many of the best rows are surely among the candidates; the others are not ranked.
        """
        estimates = self._estimate(slots, query.astype(np.float32))
        most = slots.size if certain is None else min(certain, slots.size)
        wanted = self.k if self.voices_of is None else 2 * self.k
        while True:
            wanted = min(wanted, most)
            near = slots[_near_best(estimates, wanted, rounding_slack(query.size))]
            scores = exact_cosines(self.profiles[near], query)
            order = np.lexsort((near, -scores))[:wanted]
            found, scores = near[order], scores[order]
            if self.voices_of is not None:
                firsts = np.sort(np.unique(self.voices_of(found), return_index=True)[1])
                found, scores = found[firsts], scores[firsts]
            if len(found) >= self.k or wanted == most:
                return found[: self.k], scores[: self.k]
            wanted *= 4

    def _estimate(self, slots: Slots, query: Floats) -> Floats:
        estimates = np.empty(slots.size, np.float32)
        buffer = np.empty((_BLOCK_ROWS, query.size), np.float32)
        for part in row_blocks(slots.size, _BLOCK_ROWS):
            if self.cut:
                rows = self.profiles[slots[part]]  # np.take would copy all profiles first, as they are no whole rows
                estimates[part] = rows @ query / prefix_lengths(rows)
            else:
                rows = np.take(self.profiles, slots[part], axis=0, out=buffer[: part.stop - part.start], mode="clip")
                np.dot(rows, query, out=estimates[part])
        return estimates


def exact_cosines(rows: Floats, query: Scores) -> Scores:
    """Return cosines of rows with a query of unit length; the sum of a row does not depend on other rows."""
    exact = rows.astype(np.float64, order="C")
    lengths = np.sqrt(np.add.reduce(exact * exact, axis=1))
    products = np.add.reduce(exact * query, axis=1)
    cosines: Scores = np.clip(products / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return cosines


def _near_best(estimates: Floats, wanted: int, slack: float) -> Slots:
    if wanted >= estimates.size:
        return np.arange(estimates.size)
    last = np.partition(estimates, estimates.size - wanted)[estimates.size - wanted]
    return np.flatnonzero(estimates >= last - np.float32(slack))
