"""Keep the array files of an index mapped, and which slots are removed, from one reading to the next."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.store.row_files import Rows
from mrlspk.index.store.state import State, read_counts, read_state


@dataclass(frozen=True, eq=False)
class MappedArrays:
    """The arrays of one state of an index.

    Attributes:
        state: Of the index.
        profiles: (slots, embed_dim).
        shortlist: (slots, columns).
        recordings: (recording rows, embed_dim).
        removed: (slots,) True where a slot is removed; None if none is.
        last_removal: The change that removed slots last; -1 if none has.
    """

    state: State
    profiles: Rows
    shortlist: Rows
    recordings: Rows
    removed: NDArray[np.bool_] | None
    last_removal: int

    @classmethod
    def of(cls, connection: sqlite3.Connection, folder: Path, earlier: Self | None) -> Self:
        """Map the arrays of the state that a transaction sees; what is as it was is taken from ``earlier``.

        Raises:
            FileNotFoundError: If a file is not there.
            MrlspkError: If it has too few rows.
        """
        if earlier is not None and earlier.state.counts == read_counts(connection):
            return earlier
        state = read_state(connection, folder)
        counts, layout = state.counts, state.layout
        removed, last_removal = _read_removed(state, connection, earlier)
        return cls(
            state,
            layout.profiles.map(counts.slots),
            layout.shortlist.map(counts.slots),
            layout.recordings.map(counts.recording_rows),
            removed,
            last_removal,
        )


def _read_removed(
    state: State, connection: sqlite3.Connection, earlier: MappedArrays | None
) -> tuple[NDArray[np.bool_] | None, int]:
    """Return which slots are removed, and the change that removed the last; only new changes are read."""
    removed, last = None, -1
    if earlier is not None and earlier.state.counts.generation == state.counts.generation:
        removed, last = earlier.removed, earlier.last_removal
    rows = connection.execute("SELECT change, slots FROM removed WHERE change > ? ORDER BY change", (last,)).fetchall()
    if removed is None and not rows:
        return None, last
    mask = np.zeros(state.counts.slots, np.bool_)
    if removed is not None:
        mask[: len(removed)] = removed
    for change, slots in rows:
        mask[np.frombuffer(slots, "<i8")] = True
        last = change
    return mask, last
