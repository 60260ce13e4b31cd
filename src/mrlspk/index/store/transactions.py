"""Begin and end the transactions of an index, so that array files and database agree after any interruption.

A change appends to the array files, writes them to the disk and commits the database last. The database says how many
rows count: those beyond were left by a change that was not acknowledged, and the next change cuts them.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.index.store.database import Database
from mrlspk.index.store.layout import Layout, generation_folders
from mrlspk.index.store.mapped_arrays import MappedArrays
from mrlspk.index.store.row_files import RESTORE
from mrlspk.index.store.row_writer import RowWriter
from mrlspk.index.store.state import State, read_state, write_counts
from mrlspk.index.store.writer import Writer
from mrlspk.partial_files import write_errors
from mrlspk.reading import reading as reading_errors


@contextmanager
def changing(database: Database, folder: Path) -> Iterator[tuple[sqlite3.Connection, State]]:
    """Hold the right to write in the block; commit at its end, or roll back after an error.

    Raises:
        MrlspkError: If another process keeps the right for too long, or the folder cannot be written.
    """
    with database.connection() as connection, write_errors(folder):
        connection.execute("BEGIN IMMEDIATE")
        state = read_state(connection, folder)
        delete_leftovers(folder, state.layout)
        yield connection, state
        state.counts.changes += 1
        write_counts(connection, state.counts)
        connection.execute("COMMIT")


@contextmanager
def writing(database: Database, folder: Path) -> Iterator[Writer]:
    """Yield a writer whose changes are on the disk after the block; after an error none is."""
    with changing(database, folder) as (connection, state), RowWriter(state, connection) as rows:
        writer = Writer(connection, state, rows)
        yield writer
        writer.finish()


@contextmanager
def reading(
    database: Database, folder: Path, earlier: MappedArrays | None
) -> Iterator[tuple[sqlite3.Connection, MappedArrays]]:
    """Hold one state of the index in the block, with its arrays mapped.

    Raises:
        MrlspkError: If an array file is missing or too short.
    """
    with database.connection() as connection:
        yield connection, _begin_reading(connection, folder, earlier)
        connection.execute("ROLLBACK")


def _begin_reading(connection: sqlite3.Connection, folder: Path, earlier: MappedArrays | None) -> MappedArrays:
    """Begin again if a compaction deletes files between the look at the database and at them."""
    while True:
        connection.execute("BEGIN")
        try:
            with reading_errors(folder, MrlspkError, RESTORE):
                return MappedArrays.of(connection, folder, earlier)
        except MrlspkError as error:
            before = read_state(connection, folder).layout
            connection.execute("ROLLBACK")
            is_deleted = isinstance(error.__cause__, FileNotFoundError)
            if not is_deleted or read_state(connection, folder).layout == before:
                raise


def delete_leftovers(folder: Path, layout: Layout) -> None:
    """Delete array files that belong to no state: a change that replaced them, or was to, was interrupted."""
    for other in generation_folders(folder):
        if other != layout.folder:
            shutil.rmtree(other)
    for file in layout.folder.glob("*"):
        if file not in {layout.profiles.path, layout.shortlist.path, layout.recordings.path}:
            file.unlink()
