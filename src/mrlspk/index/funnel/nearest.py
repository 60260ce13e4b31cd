"""Keep the nearest rows of a query while blocks of distances come in."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.funnel.arrays import Slots

type Distances = NDArray[np.unsignedinteger | np.floating]


class NearestRows:
    """The rows nearest to one query, found with a falling limit in place of a sort.

    Rows that tie at the last place are all kept or all dropped, so that the rows do not depend on the order of blocks.

    Args:
        wanted: Keep at most this many rows, or with ``slack`` at least this many.
        limit: A distance larger than all others.
        slack: Keep rows that are this much farther than the last one wanted, to allow for rounding.
    """

    def __init__(self, wanted: int, limit: float, *, slack: float = 0.0) -> None:
        self._wanted, self._limit, self._slack = wanted, limit, slack
        self._rows: list[Slots] = []
        self._distances: list[Distances] = []
        self._kept, self._full = 0, 2 * wanted + 2

    def offer(self, distances: Distances, first: int, positions: Slots | None) -> None:
        """Look at the rows ``first + positions``, or as many as there are distances from ``first`` on."""
        near = distances < self._limit
        if not near.any():
            return
        hits = np.flatnonzero(near)
        self._distances.append(distances[hits])
        self._rows.append((hits if positions is None else positions[hits]) + first)
        self._kept += hits.size
        if self._kept >= self._full:
            self._cut()

    def rows(self) -> Slots:
        """Return the nearest rows, ascending."""
        self._cut()
        return self._rows[0]

    def _cut(self) -> None:
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        distances = np.concatenate(self._distances) if self._distances else np.empty(0, np.float32)
        last = self._wanted - 1 if self._slack else self._wanted  # without slack: the first row that is too many
        if last < rows.size:
            nearest = np.partition(distances, last)[last].item()
            self._limit = nearest + self._slack if self._slack else nearest  # integers stay integers
            near = distances < self._limit
            rows, distances = rows[near], distances[near]
        self._rows, self._distances, self._kept = [rows], [distances], rows.size
        self._full = 2 * max(rows.size, self._wanted) + 2
