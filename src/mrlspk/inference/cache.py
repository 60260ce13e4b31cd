"""Keep embeddings in an SQLite file that several processes may use at once.

The file has a rollback journal, which unlike a write-ahead log also works on network file systems. A process that is
killed loses only the changes that it had not committed.
"""

import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.errors import MrlspkError
from mrlspk.inference.audio_content import FileState
from mrlspk.inference.recording import EmbeddedRecording, TooShort

log = logging.getLogger("mrlspk.encoding")  # its name before the package was renamed: programs filter by it

FILE_NAME = "embeddings.sqlite"
DAMAGED_SUFFIX = ".damaged"
CHECKSUM_BYTES = 16
BUSY_SECONDS = 30.0
KEYS_PER_QUERY = 500
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})  # the last: other tables
TABLES = {
    "embeddings": "(key BLOB PRIMARY KEY, packed BLOB NOT NULL)",
    "files": "(path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 BLOB) WITHOUT ROWID",
}

type Entry = EmbeddedRecording | TooShort
type KnownFile = tuple[FileState, bytes]  # with the SHA-256 of the file in that state


def pack_entry(key: bytes, entry: Entry) -> bytes:
    """Return a checksum of ``key`` and all that follows, a line of JSON, and the vector as little-endian float32."""
    embedded = entry if isinstance(entry, EmbeddedRecording) else None
    warnings = embedded.warnings if embedded else ()
    line = json.dumps({"seconds": entry.seconds, "warnings": warnings}).encode() + b"\n"
    values = embedded.vector.astype("<f4").tobytes() if embedded else b""
    return _checksum(key, line + values) + line + values


def unpack_entry(key: bytes, packed: bytes) -> Entry | None:
    """Return the entry that `pack_entry` packed; None if its bytes are damaged."""
    checksum, body = packed[:CHECKSUM_BYTES], packed[CHECKSUM_BYTES:]
    if checksum != _checksum(key, body):
        return None
    line, _, values = body.partition(b"\n")
    known = json.loads(line)
    if not values:
        return TooShort(known["seconds"])
    vector = np.frombuffer(values, "<f4").astype(np.float32)
    return EmbeddedRecording(vector, known["seconds"], tuple(known["warnings"]))


def _checksum(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(key + body, digest_size=CHECKSUM_BYTES).digest()


class CacheError(MrlspkError):
    """A cache that cannot be read or written."""


class DamagedCacheError(CacheError):
    """A cache whose file is damaged, or is no such database."""


class CacheDatabase:
    """The open file of a cache.

    Args:
        folder: Of the file; made if it is absent.

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
        with self._errors_raised():
            self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            self._make_tables()
        except CacheError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, keys: Iterable[bytes]) -> tuple[dict[bytes, Entry], int]:
        """Return the entries by key, and the number of entries left out because they are damaged.

        Raises:
            CacheError: If the file cannot be read.
        """
        rows = self._select("key, CAST(packed AS BLOB) FROM embeddings WHERE key", keys)
        unpacked = {key: unpack_entry(key, packed or b"") for key, packed in rows}
        found = {key: entry for key, entry in unpacked.items() if entry is not None}
        return found, len(unpacked) - len(found)

    def find_files(self, paths: Iterable[bytes]) -> dict[bytes, KnownFile]:
        """Return the known state and SHA-256 of files, by path.

        Raises:
            CacheError: If the file cannot be read.
        """
        rows = self._select("path, CAST(sha256 AS BLOB), size, mtime_ns, ctime_ns FROM files WHERE path", paths)
        return {path: (FileState(*state), sha256) for path, sha256, *state in rows}

    def write(self, entries: Mapping[bytes, Entry], files: Mapping[bytes, KnownFile]) -> None:
        """Write entries by key and files by path: all of them, or after an error none.

        Raises:
            CacheError: If the file cannot be written.
        """
        packed = [(key, pack_entry(key, each)) for key, each in entries.items()]
        known = [(path, now.size, now.mtime_ns, now.ctime_ns, sha256) for path, (now, sha256) in files.items()]

        def insert(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", packed)
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", known)

        self._change(insert)

    def _make_tables(self) -> None:
        with self._errors_raised():
            names = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}

        def create(connection: sqlite3.Connection) -> None:
            for name, columns in TABLES.items():
                connection.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns}")

        if not names >= TABLES.keys():  # else the file may be read-only
            self._change(create)

    def _change(self, change: Callable[[sqlite3.Connection], None]) -> None:
        with self._errors_raised(), self._connection:  # which commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            change(self._connection)

    def _select(self, columns: str, wanted: Iterable[bytes]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self._errors_raised():
            for some in batched(wanted, KEYS_PER_QUERY):
                marks = ", ".join("?" * len(some))
                rows += self._connection.execute(f"SELECT {columns} IN ({marks})", some).fetchall()
        return rows

    @contextmanager
    def _errors_raised(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # no code: text is not UTF-8
            kind = DamagedCacheError if code in DAMAGE else CacheError
            raise kind(str(error), self.path) from error


class EmbeddingCache:
    """A folder of cached embeddings, for any number of models and processes.

    Work goes on without it: if the folder cannot be used, a warning says so once, and a damaged file is renamed and
    replaced by a new one.

    Args:
        folder: Made when it is first used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database: CacheDatabase | None = None
        self._inode: int | None = None
        self._usable, self._writable, self._was_set_aside = True, True, False

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Entry]:
        """Return the cached entries, by key."""
        nothing: tuple[dict[bytes, Entry], int] = {}, 0
        found, n_damaged = self._ask(lambda database: database.find(keys), nothing)
        if n_damaged:
            log.warning("%s: %d damaged entries are computed again", self.folder / FILE_NAME, n_damaged)
        return found

    def find_files(self, paths: Iterable[bytes]) -> dict[bytes, KnownFile]:
        """Return the known state and SHA-256 of files, by path."""
        return self._ask(lambda database: database.find_files(paths), {})

    def write(self, entries: Mapping[bytes, Entry], files: Mapping[bytes, KnownFile]) -> None:
        """Write entries by key, and files by path."""
        if self._writable and (entries or files):
            self._writable = self._ask(lambda database: _write(database, entries, files), otherwise=False)

    def close(self) -> None:
        """Close the file until it is used again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _ask[T](self, question: Callable[[CacheDatabase], T], otherwise: T) -> T:
        """Return the answer of the database, or of a new one if it is damaged."""
        while self._usable:
            try:
                return question(self._opened())
            except DamagedCacheError as error:
                self._set_aside(error)
            except CacheError as error:
                self._give_up(error)
        return otherwise

    def _opened(self) -> CacheDatabase:
        if self._database is None:
            self._inode = _inode(self.folder / FILE_NAME)
            self._database = CacheDatabase(self.folder)
        return self._database

    def _set_aside(self, fault: DamagedCacheError) -> None:
        """Rename the damaged file, unless another process has done so; give up the second time."""
        self.close()
        path = self.folder / FILE_NAME
        aside = path.with_name(path.name + DAMAGED_SUFFIX)
        if self._was_set_aside:
            self._give_up(fault)
            return
        self._was_set_aside = True
        if _inode(path) != self._inode:
            return
        try:
            path.replace(aside)
        except OSError as error:
            self._give_up(CacheError(f"is damaged, and cannot be renamed: {error.strerror}", path))
        else:
            log.warning("%s is damaged (%s), was renamed to %s and starts empty", path, fault.what, aside)

    def _give_up(self, fault: CacheError) -> None:
        self.close()
        self._usable = False
        log.warning("embeddings are not cached: %s", fault)


def _write(database: CacheDatabase, entries: Mapping[bytes, Entry], files: Mapping[bytes, KnownFile]) -> bool:
    """Write, and return whether further writing makes sense; reading goes on either way."""
    try:
        database.write(entries, files)
    except DamagedCacheError:
        raise
    except CacheError as error:
        log.warning("embeddings are not cached: %s", error)
        return False
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:  # opening it reports the reason
        return None
