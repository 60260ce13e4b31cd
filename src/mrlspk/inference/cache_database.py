"""The file of the embedding cache: an SQLite database that several processes may use at once.

It has a rollback journal, which unlike a write-ahead log also works where home folders are on a network. What a killed
process had not committed is gone, and nothing else.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

from mrlspk.errors import MrlspkError
from mrlspk.inference.content import FileState
from mrlspk.inference.kept import Kept, pack, unpack

FILE_NAME = "embeddings.sqlite"
BUSY_SECONDS = 30.0
KEYS_PER_QUERY = 500
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})  # the last: other tables
TABLES = {
    "embeddings": "(key BLOB PRIMARY KEY, packed BLOB NOT NULL)",
    "files": "(path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 BLOB) WITHOUT ROWID",
}

type KnownFile = tuple[FileState, bytes]  # and the SHA-256 of what it held in that state


class CacheError(MrlspkError):
    """A cache that cannot be read or written."""


class DamagedCacheError(CacheError):
    """A cache whose file is no such database, or no longer."""


class CacheDatabase:
    """The open file of a cache.

    Args:
        folder: Where it is, or is to be.

    Raises:
        DamagedCacheError: If the file is no such database.
        CacheError: If it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"cannot be made: {error.strerror}", folder) from error
        with self._told():
            self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            self._make_tables()
        except CacheError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, keys: Iterable[bytes]) -> tuple[dict[bytes, Kept], int]:
        """Return what is kept, by key, and how many entries are damaged and so left out.

        Raises:
            CacheError: If the file cannot be read.
        """
        rows = self._select("key, CAST(packed AS BLOB) FROM embeddings WHERE key", keys)
        unpacked = {key: unpack(key, packed or b"") for key, packed in rows}
        found = {key: kept for key, kept in unpacked.items() if kept is not None}
        return found, len(unpacked) - len(found)

    def find_files(self, paths: Iterable[bytes]) -> dict[bytes, KnownFile]:
        """Return what is known of files, by path.

        Raises:
            CacheError: If the file cannot be read.
        """
        rows = self._select("path, CAST(sha256 AS BLOB), size, mtime_ns, ctime_ns FROM files WHERE path", paths)
        return {path: (FileState(*state), sha256) for path, sha256, *state in rows}

    def write(self, kept: Mapping[bytes, Kept], files: Mapping[bytes, KnownFile]) -> None:
        """Keep entries by key, and files by path: all of them, or after an error none.

        Raises:
            CacheError: If the file cannot be written.
        """
        entries = [(key, pack(key, each)) for key, each in kept.items()]
        known = [(path, now.size, now.mtime_ns, now.ctime_ns, sha256) for path, (now, sha256) in files.items()]

        def insert(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", entries)
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", known)

        self._change(insert)

    def _make_tables(self) -> None:
        with self._told():
            names = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}

        def create(connection: sqlite3.Connection) -> None:
            for name, columns in TABLES.items():
                connection.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns}")

        if not names >= TABLES.keys():  # else it may be one that can only be read
            self._change(create)

    def _change(self, change: Callable[[sqlite3.Connection], None]) -> None:
        with self._told(), self._connection:  # which commits, or takes all back
            self._connection.execute("BEGIN IMMEDIATE")
            change(self._connection)

    def _select(self, what: str, wanted: Iterable[bytes]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self._told():
            for some in batched(wanted, KEYS_PER_QUERY):
                marks = ", ".join("?" * len(some))
                rows += self._connection.execute(f"SELECT {what} IN ({marks})", some).fetchall()
        return rows

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # none: text that is not UTF-8
            kind = DamagedCacheError if code in DAMAGE else CacheError
            raise kind(str(error), self.path) from error
