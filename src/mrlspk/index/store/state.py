"""Read the state of an index that a transaction sees: its sizes, settings and rotation."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError, shorten
from mrlspk.index.funnel.codes import random_rotation
from mrlspk.index.store.database import FILE_NAME
from mrlspk.index.store.layout import FLOAT32, Layout, build_layout
from mrlspk.index.store.row_files import RESTORE
from mrlspk.index.store.settings import IndexSettings

SETTINGS, ROTATION = "settings", "rotation"  # keys of the table `settings`; further ones belong to those who put them
ROTATION_SEED = 20


@dataclass
class Counts:
    """The row of the table `state`.

    Attributes:
        generation: Of the array files.
        slots: Rows of profiles and codes, those of removed voices included.
        recording_rows: Rows of recording vectors, those of removed voices included.
        changes: Changes so far.
        voices: Voices enrolled.
        recordings: Their recordings.
        is_compacting: Whether a compaction has been committed, but has not deleted the old files.
    """

    generation: int
    slots: int
    recording_rows: int
    changes: int
    voices: int
    recordings: int
    is_compacting: int


@dataclass(frozen=True)
class State:
    """What a transaction sees of an index, without its voices."""

    counts: Counts
    settings: IndexSettings
    rotation: NDArray[np.float32] | None
    layout: Layout


def read_state(connection: sqlite3.Connection, folder: Path) -> State:
    """Return the state of an index.

    Raises:
        MrlspkError: If it cannot be understood.
    """
    try:
        counts = read_counts(connection)
        settings = IndexSettings.model_validate_json(read_setting(connection, SETTINGS) or b"")
        packed = read_setting(connection, ROTATION)
        rotation = None if packed is None else np.frombuffer(packed, FLOAT32).reshape(settings.embed_dim, -1)
    except (ValueError, TypeError) as error:
        what = f"its state or settings cannot be understood: {shorten(str(error))}"
        raise MrlspkError(what, folder / FILE_NAME, RESTORE) from error
    layout = build_layout(folder, counts.generation, settings)
    return State(counts, settings, rotation, layout)


def read_counts(connection: sqlite3.Connection) -> Counts:
    """Return the row of the table `state`."""
    columns = ", ".join(Counts.__annotations__)
    return Counts(*connection.execute(f"SELECT {columns} FROM state").fetchone())


def write_counts(connection: sqlite3.Connection, counts: Counts) -> None:
    """Replace the row of the table `state`."""
    columns = ", ".join(f"{name} = :{name}" for name in Counts.__annotations__)
    connection.execute(f"UPDATE state SET {columns}", vars(counts))


def read_setting(connection: sqlite3.Connection, key: str) -> bytes | None:
    """Return a setting, None if it is not set."""
    row = connection.execute("SELECT CAST(value AS BLOB) FROM settings WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def write_setting(connection: sqlite3.Connection, key: str, value: str | bytes | None) -> None:
    """Set a setting; None removes it."""
    connection.execute("DELETE FROM settings WHERE key = ?", (key,))
    if value is not None:
        connection.execute("INSERT INTO settings VALUES (?, ?)", (key, value))


def write_settings(connection: sqlite3.Connection, settings: IndexSettings) -> None:
    """Set the settings, and the rotation that their shortlist needs."""
    write_setting(connection, SETTINGS, settings.model_dump_json())
    rotation = build_rotation(settings)
    write_setting(connection, ROTATION, None if rotation is None else rotation.tobytes())


def build_rotation(settings: IndexSettings) -> NDArray[np.float32] | None:
    """Return the rotation that the shortlist needs, if it needs one."""
    return random_rotation(settings.embed_dim, ROTATION_SEED) if settings.shortlist.type == "bits" else None
