"""The shards of a store made by all processes of a run, side by side."""

from collections.abc import Callable, Iterator, Sequence
from itertools import batched
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.distributed import Ranks, failing_together
from mrlspk.feature_store.layout import Layout, Shard
from mrlspk.feature_store.shards import write_shard
from mrlspk.files import OnProgress


class Source(Protocol):
    """What makes the vectors of shards, in the order in which they are asked for."""

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors (rows, features) of each shard."""


def make_shards(
    folder: Path,
    missing: Sequence[Shard],
    source: Source,
    *,
    layout: Layout,
    ranks: Ranks,
    on_progress: OnProgress | None,
) -> None:
    """Write the missing shards of a store: round after round, each process one of them.

    A shard is made by one process, as it would be by any other: how many there are does not show in it. After each
    round all know of an error of one, and none works on for hours beside it.

    Args:
        folder: Of the store.
        missing: The same in all processes.
        source: Makes the vectors of a process.
        layout: Of the store.
        ranks: The processes.
        on_progress: Called in the first process with (rows there are, all rows); within a round, those of the other
            processes are taken to be as many as its own.

    Raises:
        DataError: If the source of one process cannot make a vector.
        MrlspkError: If one process cannot write.
    """
    progress = _Progress(layout, missing, on_progress if ranks.is_first else None)
    own = ranks.shard(missing)
    vectors = source.vectors(own, layout=layout, on_rows=progress.add) if own else iter(())
    for together in batched(missing, ranks.world_size):
        progress.begin_round(together)
        with failing_together(ranks):
            if ranks.rank < len(together):
                write_shard(folder, together[ranks.rank], next(vectors), layout=layout)
    progress.begin_round(())


class _Progress:
    """Tells how many rows there are: exactly after each round, and within one by what this process has made."""

    def __init__(self, layout: Layout, missing: Sequence[Shard], on_progress: OnProgress | None) -> None:
        self._n_rows, self._on_progress = layout.n_rows, on_progress
        self._n_before = layout.n_rows - sum(map(len, missing))
        self._n_own, self._n_told = 0, -1
        self._round: Sequence[Shard] = ()

    def begin_round(self, together: Sequence[Shard]) -> None:
        """Count the last round as done, and begin one with these shards."""
        self._n_before += self._n_rows_of_round
        self._n_own, self._round = 0, together
        self._tell(self._n_before)

    def add(self, count: int) -> None:
        """Count rows that this process has made."""
        self._n_own += count
        self._tell(self._n_before + min(self._n_own * len(self._round), self._n_rows_of_round))

    @property
    def _n_rows_of_round(self) -> int:
        return sum(map(len, self._round))

    def _tell(self, n_done: int) -> None:
        if self._on_progress and n_done != self._n_told:
            self._on_progress(n_done, self._n_rows)
        self._n_told = n_done
