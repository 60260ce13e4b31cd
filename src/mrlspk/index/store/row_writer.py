"""Append vectors and their codes to the array files of an index."""

import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.index.funnel.codes import encode
from mrlspk.index.store.row_files import OWNER_ONLY_FOLDER, RowAppender, Segment, is_unit_length, sync_folder
from mrlspk.index.store.state import State
from mrlspk.index.store.voices import Vectors


class RowWriter:
    """The open array files of an index; the transaction that owns it counts what is appended.

    Args:
        state: Of the index; its counts say which rows are committed, and are raised.
        connection: Of the transaction.
    """

    def __init__(self, state: State, connection: sqlite3.Connection) -> None:
        self._state, self._connection, self._exit = state, connection, ExitStack()
        layout, counts = state.layout, state.counts
        layout.folder.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        with ExitStack() as opened:
            self._profiles = opened.enter_context(RowAppender(layout.profiles, counts.slots))
            self._shortlist = opened.enter_context(RowAppender(layout.shortlist, counts.slots))
            self._recordings = opened.enter_context(RowAppender(layout.recordings, counts.recording_rows))
            self._exit = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    def append_profiles(self, vectors: Vectors) -> int:
        """Append unit vectors (n, embed_dim) and their codes; return the slot of the first."""
        self._check(vectors)
        first = self._profiles.rows
        codes = encode(vectors, self._state.settings.shortlist, self._state.rotation)
        record_segments(self._connection, [self._profiles.append(vectors), self._shortlist.append(codes)])
        self._state.counts.slots = self._profiles.rows
        return first

    def append_recordings(self, vectors: Vectors) -> int:
        """Append unit vectors (n, embed_dim) of recordings; return the row of the first."""
        self._check(vectors)
        first = self._recordings.rows
        record_segments(self._connection, [self._recordings.append(vectors)])
        self._state.counts.recording_rows = self._recordings.rows
        return first

    def read_profiles(self, slots: NDArray[np.int64]) -> Vectors:
        """Return the vectors (n, embed_dim) of slots."""
        return self._profiles.read(slots)

    def sync(self) -> None:
        """Write everything appended to the disk, and the names of new files."""
        for file in (self._profiles, self._shortlist, self._recordings):
            file.sync()
        sync_folder(self._state.layout.folder)
        sync_folder(self._state.layout.folder.parent)

    def _check(self, vectors: Vectors) -> None:
        """Refuse vectors of another width, and those that are not of unit length, or not finite."""
        embed_dim = self._state.settings.embed_dim
        if vectors.ndim != 2 or vectors.shape[1] != embed_dim:
            raise DataError(f"expected vectors (n, {embed_dim}), got {vectors.shape}")
        if not is_unit_length(vectors).all():
            raise DataError("expected vectors of unit length, got another length")


def record_segments(connection: sqlite3.Connection, segments: Iterable[Segment]) -> None:
    """Keep the checksums of what was appended."""
    rows = ((each.file, each.first_row, each.rows, each.crc32) for each in segments if each.rows)
    connection.executemany("INSERT INTO segments VALUES (?, ?, ?, ?)", rows)
