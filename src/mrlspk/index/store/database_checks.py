"""Check the database of an index: its pages, and what its tables say of each other."""

import sqlite3
from collections.abc import Iterator

import numpy as np

from mrlspk.data.problems import Problem, error, warning
from mrlspk.index.store.database import FILE_NAME
from mrlspk.index.store.state import State

VOICES = {  # what may be wrong with a voice, and the query for the names
    "has no recording": "SELECT name FROM voices WHERE id NOT IN (SELECT voice_id FROM recordings)",
    "has no profile": "SELECT name FROM voices WHERE id NOT IN (SELECT voice_id FROM profiles)",
    "has metadata that are no JSON object":
        "SELECT name FROM voices WHERE CASE WHEN json_valid(metadata) THEN json_type(metadata) <> 'object' ELSE 1 END",
    "has a recording without a vector": """
        SELECT DISTINCT name FROM voices JOIN recordings ON voice_id = voices.id WHERE vector_row IS NULL AND (
            (SELECT COUNT(*) FROM recordings WHERE voice_id = voices.id) > 1
            OR (SELECT COUNT(*) FROM profiles WHERE voice_id = voices.id) > 1)""",
    "has a recording whose vector is not in the file": """
        SELECT DISTINCT name FROM voices JOIN recordings ON voice_id = voices.id, state
        WHERE vector_row NOT BETWEEN 0 AND recording_rows - 1""",
    "has a recording with the vector of another one": """
        SELECT DISTINCT name FROM voices JOIN recordings ON voice_id = voices.id WHERE vector_row IN (
            SELECT vector_row FROM recordings WHERE vector_row IS NOT NULL GROUP BY vector_row HAVING COUNT(*) > 1)""",
}  # fmt: skip


def check_pages(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Yield what SQLite itself finds."""
    try:
        for (text,) in connection.execute("PRAGMA integrity_check"):
            if text != "ok":
                yield error("database", FILE_NAME, text)
        for table, row, *_ in connection.execute("PRAGMA foreign_key_check"):
            yield error("database", FILE_NAME, f"row {row} of {table} belongs to no voice")
    except sqlite3.DatabaseError as fault:
        yield error("database", FILE_NAME, str(fault))


def check_tables(connection: sqlite3.Connection, state: State) -> Iterator[Problem]:
    """Yield where tables contradict each other."""
    for table, expected in (("voices", state.counts.voices), ("recordings", state.counts.recordings)):
        (found,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        if found != expected:
            yield error("count", FILE_NAME, f"expected {expected:,} {table}, got {found:,}")
    for what, query in VOICES.items():
        for (name,) in connection.execute(query):
            yield error("voice", FILE_NAME, f"voice {name!r} {what}")
    yield from _check_slots(connection, state.counts.slots)
    if state.counts.is_compacting:
        yield warning("interrupted", FILE_NAME, "a compaction was interrupted: compact again to delete removed voices")


def _check_slots(connection: sqlite3.Connection, n_slots: int) -> Iterator[Problem]:
    """Check that each slot is either that of a voice or removed."""
    uses = np.zeros(n_slots, np.int64)
    profiles = np.fromiter((slot for (slot,) in connection.execute("SELECT slot FROM profiles")), np.int64)
    blobs = [blob for (blob,) in connection.execute("SELECT slots FROM removed")]
    for slots in (profiles, *(np.frombuffer(blob[: len(blob) // 8 * 8], "<i8") for blob in blobs)):
        is_known = (slots >= 0) & (slots < n_slots)
        np.add.at(uses, slots[is_known], 1)
        for slot in slots[~is_known].tolist():
            yield error("slot", FILE_NAME, f"slot {slot} is not in the files")
    for slot in np.flatnonzero(uses != 1).tolist():
        what = "belongs to no voice and is not removed" if uses[slot] == 0 else "is both removed and that of a voice"
        yield error("slot", FILE_NAME, f"slot {slot} {what}")
