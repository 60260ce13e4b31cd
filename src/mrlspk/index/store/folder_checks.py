"""Check the folder of an index: what does not belong there, and who else may read it."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from mrlspk.data.problems import Problem, warning
from mrlspk.errors import MrlspkError
from mrlspk.index.store.database import FILE_NAME, Database
from mrlspk.index.store.layout import generation_folders
from mrlspk.index.store.state import State, read_state
from mrlspk.reading import reading

DATABASE_FILES = {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"}
LEFT = "left by an interrupted change; the next change deletes"


def check_folder(database: Database, folder: Path) -> list[Problem]:
    """Return warnings; none if another process is changing the index: its files are not finished.

    Raises:
        MrlspkError: If the folder cannot be read.
    """
    with database.connection() as connection, reading(folder, MrlspkError):
        if not database.begin_alone(connection):
            return []
        try:
            state = read_state(connection, folder)
        except (sqlite3.DatabaseError, MrlspkError):  # another check reports it
            return []
        return [*_check_content(state), *_check_modes(folder)]


def _check_content(state: State) -> Iterator[Problem]:
    layout, counts = state.layout, state.counts
    folder = layout.folder.parent
    expected = {
        layout.profiles.path: counts.slots * layout.profiles.row_bytes,
        layout.shortlist.path: counts.slots * layout.shortlist.row_bytes,
        layout.recordings.path: counts.recording_rows * layout.recordings.row_bytes,
    }
    database_files = {folder / name for name in DATABASE_FILES}
    for path in sorted({*folder.iterdir(), *layout.folder.glob("*")} - database_files - {layout.folder}):
        name = str(path.relative_to(folder))
        if path in generation_folders(folder) or (path.parent == layout.folder and path not in expected):
            yield warning("leftover", name, f"{LEFT} it")
        elif path not in expected:
            yield warning("foreign", name, "is no file of an index")
        elif path.stat().st_size > expected[path]:
            yield warning("leftover", name, f"has {path.stat().st_size - expected[path]:,} bytes {LEFT} them")


def _check_modes(folder: Path) -> Iterator[Problem]:
    """Tell which files others than their owner may use: voices are biometric data."""
    for path in (folder, *sorted(folder.rglob("*"))):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield warning("mode", str(path.relative_to(folder)), f"others than its owner may use it (mode {mode:04o})")
