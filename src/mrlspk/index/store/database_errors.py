"""Raise errors of SQLite as errors that say what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrlspk.errors import MrlspkError

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})  # the last: other tables
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Raise errors of SQLite in the block as `MrlspkError` about ``path``."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of ours, not of the file
    except sqlite3.DatabaseError as error:
        raise _explained(error, path) from error


def _explained(error: sqlite3.DatabaseError, path: Path) -> MrlspkError:
    code = error_code(error)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return MrlspkError("another process is changing the index", path.parent, "Try again when it has finished.")
    if code in NO_ROOM:
        return MrlspkError(f"cannot be used: {error}", path, "Give a folder that is writable and has room.")
    if code in DAMAGE:
        return MrlspkError(f"is damaged: {error}", path, "Restore the folder from a copy, or make the index again.")
    return MrlspkError(f"cannot be used: {error}", path)


def error_code(error: sqlite3.DatabaseError) -> int:
    """Return the primary code of an error; one without a code is about text that is not UTF-8."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
