"""Rewrite an index without its removed voices, so that no byte of them is left in its folder."""

import sqlite3
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError, UsageError
from mrlspk.index.funnel.codes import row_blocks, unit_prefixes
from mrlspk.index.store.array_checks import check_segments
from mrlspk.index.store.database import FILE_NAME, Database
from mrlspk.index.store.layout import build_layout
from mrlspk.index.store.mapped_arrays import MappedArrays
from mrlspk.index.store.row_files import RESTORE
from mrlspk.index.store.row_writer import RowWriter
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.state import State, build_rotation, write_settings
from mrlspk.index.store.transactions import changing
from mrlspk.index.store.voices import Vectors

type Order = NDArray[np.int64]


def compact(database: Database, folder: Path, dim: int | None) -> None:
    """Write the next generation of array files and shrink the database; the old files are deleted.

    An index whose compaction was interrupted is whole, before or after it. Compacting it again finishes the work.

    Args:
        database: Of the index.
        folder: Of the index.
        dim: Width to narrow the stored vectors to; None keeps it.

    Raises:
        UsageError: If decisions cannot be made at this width.
        MrlspkError: If a vector is not what was written, there is no room, or another process reads an earlier state
            for too long.
    """
    with changing(database, folder) as (connection, state):
        old = MappedArrays.of(connection, folder, None)
        _refuse_damage(connection, old)
        settings = _narrow(state.settings, dim) if dim is not None else state.settings
        with RowWriter(_next_generation(state, settings, folder), connection) as rows:
            connection.execute("DELETE FROM segments")
            connection.execute("DELETE FROM removed")
            slots = _move(connection, "profiles", "slot")
            for block in row_blocks(len(slots)):
                rows.append_profiles(_narrowed(old.profiles[slots[block]], settings.embed_dim))
            recording_rows = _move(connection, "recordings", "vector_row")
            for block in row_blocks(len(recording_rows)):
                rows.append_recordings(_narrowed(old.recordings[recording_rows[block]], settings.embed_dim))
            rows.sync()
        if dim is not None:
            write_settings(connection, settings)
        state.counts.is_compacting = 1
    _delete_remains(database, folder)


def _refuse_damage(connection: sqlite3.Connection, arrays: MappedArrays) -> None:
    """Refuse to copy vectors that are not what was written: checksums of the copy would hide it."""
    layout = arrays.state.layout
    for file, array in ((layout.profiles, arrays.profiles), (layout.recordings, arrays.recordings)):
        for problem in check_segments(connection, file, array):
            raise MrlspkError(problem.message, file.path, RESTORE)


def _next_generation(state: State, settings: IndexSettings, folder: Path) -> State:
    """Return the state of an empty next generation; it shares its counts with ``state``."""
    counts = state.counts
    counts.generation, counts.slots, counts.recording_rows = counts.generation + 1, 0, 0
    rotation = build_rotation(settings) if settings != state.settings else state.rotation
    return State(counts, settings, rotation, build_layout(folder, counts.generation, settings))


def _move(connection: sqlite3.Connection, table: str, column: str) -> Order:
    """Renumber the rows of an array without gaps; return their numbers so far, rising."""
    query = f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {column}"
    pairs = np.fromiter(chain.from_iterable(connection.execute(query)), np.int64).reshape(-1, 2)
    moved = np.flatnonzero(pairs[:, 1] != np.arange(len(pairs)))
    changes: Iterable[tuple[int, int]] = zip(moved.tolist(), pairs[moved, 0].tolist(), strict=True)
    connection.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", changes)
    return pairs[:, 1]


def _narrow(settings: IndexSettings, dim: int) -> IndexSettings:
    """Return the settings of an index of narrower vectors."""
    if dim not in settings.dims:
        widths = ", ".join(map(str, settings.dims))
        raise UsageError(f"expected one of the widths {widths}, got {dim}", parameter="dim")
    return settings.with_changes(
        embed_dim=dim,
        dims=tuple(each for each in settings.dims if each <= dim),
        shortlist=settings.shortlist.narrowed(dim),
    )


def _narrowed(vectors: Vectors, dim: int) -> Vectors:
    return vectors if vectors.shape[1] == dim else unit_prefixes(vectors, dim).astype(np.float32)


def _delete_remains(database: Database, folder: Path) -> None:
    """Delete what the database and its log still hold of removed voices, and the array files of earlier generations."""
    with database.connection() as connection:
        connection.execute("VACUUM")
    with changing(database, folder):  # which deletes the files
        pass
    with database.connection() as connection:
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        what = f"is compacted, but another process still reads its earlier state: {FILE_NAME}-wal cannot be cut"
        raise MrlspkError(what, folder, "That file may hold removed voices: compact again when the process has ended.")
    with changing(database, folder) as (_, state):
        state.counts.is_compacting = 0
