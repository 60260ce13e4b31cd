"""Turn decisions about frames into intervals of speech: short runs dropped, short pauses kept, edges widened."""

import numpy as np
from numpy.typing import NDArray


def find_runs(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of true values as (n, 2) indices: first, and the one after the last."""
    edges = np.diff(marked.astype(np.int8), prepend=0, append=0)
    return np.stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)), axis=1)


def join_runs(runs: NDArray[np.int64], *, gap: int) -> NDArray[np.int64]:
    """Return the runs (n, 2) with those joined that are less than ``gap`` apart."""
    if not len(runs):
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= gap
    starts = runs[np.append(True, apart), 0]
    ends = runs[np.append(apart, True), 1]
    return np.stack((starts, ends), axis=1)


def widen_runs(runs: NDArray[np.int64], *, before: int, after: int, length: int) -> NDArray[np.int64]:
    """Return the runs (n, 2), each widened within [0, length], and joined where they then meet."""
    wide = np.stack((runs[:, 0] - before, runs[:, 1] + after), axis=1).clip(0, length)
    return join_runs(wide, gap=1)


def drop_short_runs(runs: NDArray[np.int64], *, shortest: int) -> NDArray[np.int64]:
    """Return the runs (n, 2) of at least ``shortest``."""
    return runs[runs[:, 1] - runs[:, 0] >= shortest]
