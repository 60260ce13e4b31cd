"""Keep embeddings in an SQLite file that several processes may use at once.

The file has a rollback journal, which unlike a write-ahead log also works on network file systems. A process that is
killed loses only the changes that it had not committed.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import batched
from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.inference.cache_entries import Entry, KnownFile, pack_entry, pack_file, unpack_entry, unpack_file

log = logging.getLogger("mrlspk.encoding")  # its name before the package was renamed: programs filter by it

FILE_NAME = "embeddings.sqlite"
DAMAGED_SUFFIX = ".damaged"
BUSY_SECONDS = 30.0
KEYS_PER_QUERY = 500
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})  # the last: other tables
LARGEST_BYTES = 1 << 20  # of a packed value; a larger one is damaged, and is not read
EMBEDDINGS, FILES = "embeddings", "hashed_files"  # the table "files" of mrlspk 0.1.0 had no checksums
COLUMNS = "(key BLOB PRIMARY KEY, packed BLOB NOT NULL)"


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
        self._write_fault: CacheError | None = None
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
        return self._find(EMBEDDINGS, keys, unpack_entry)

    def find_files(self, paths: Iterable[bytes]) -> tuple[dict[bytes, KnownFile], int]:
        """Return the known state and SHA-256 of files, by path, and the number left out because they are damaged.

        Raises:
            CacheError: If the file cannot be read.
        """
        return self._find(FILES, paths, unpack_file)

    def write(self, entries: Mapping[bytes, Entry], files: Mapping[bytes, KnownFile]) -> None:
        """Write entries by key and files by path: all of them, or after an error none.

        Raises:
            CacheError: If the file cannot be written.
        """
        if self._write_fault:
            raise self._write_fault
        packed = [(key, pack_entry(key, each)) for key, each in entries.items()]
        known = [(path, pack_file(path, each)) for path, each in files.items()]

        def insert(connection: sqlite3.Connection) -> None:
            connection.executemany(f"INSERT OR REPLACE INTO {EMBEDDINGS} VALUES (?, ?)", packed)
            connection.executemany(f"INSERT OR REPLACE INTO {FILES} VALUES (?, ?)", known)

        self._change(insert)

    def _make_tables(self) -> None:
        """Make the tables that are not there.

        A read-only cache of mrlspk 0.1.0 has only that of the embeddings, which is enough to find them.
        """
        with self._errors_raised():
            schema = self._connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        if {"view", "trigger"}.intersection(kind for kind, _ in schema):  # they could answer anything, or never
            raise DamagedCacheError("has a view or trigger", self.path)
        self._tables = {EMBEDDINGS, FILES}.intersection(name for _, name in schema)
        if len(self._tables) == 2:  # the file may be read-only
            return
        try:
            self._change(_create)
        except DamagedCacheError:
            raise
        except CacheError as fault:
            if EMBEDDINGS not in self._tables:
                raise
            self._write_fault = fault
        else:
            self._tables = {EMBEDDINGS, FILES}

    def _change(self, change: Callable[[sqlite3.Connection], None]) -> None:
        with self._errors_raised(), self._connection:  # which commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            change(self._connection)

    def _find[T](
        self, table: str, keys: Iterable[bytes], unpack: Callable[[bytes, bytes], T | None]
    ) -> tuple[dict[bytes, T], int]:
        """Return the unpacked values by key, and the number of damaged ones."""
        value = f"CASE WHEN length(packed) <= {LARGEST_BYTES} THEN CAST(packed AS BLOB) END"
        rows: list[tuple[bytes, bytes | None]] = []
        with self._errors_raised():
            for some in batched(keys if table in self._tables else (), KEYS_PER_QUERY):
                marks = ", ".join("?" * len(some))
                rows += self._connection.execute(f"SELECT key, {value} FROM {table} WHERE key IN ({marks})", some)
        unpacked = {key: unpack(key, packed or b"") for key, packed in rows}
        found = {key: each for key, each in unpacked.items() if each is not None}
        return found, len(unpacked) - len(found)

    @contextmanager
    def _errors_raised(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # no code: text is not UTF-8
            kind = DamagedCacheError if code in DAMAGE else CacheError
            raise kind(str(error), self.path) from error


def _create(connection: sqlite3.Connection) -> None:
    for table in (EMBEDDINGS, FILES):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} {COLUMNS}")


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

    @property
    def is_kept(self) -> bool:
        """Whether what is written can be found again."""
        return self._usable and self._writable

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Entry]:
        """Return the cached entries, by key."""
        return self._intact(lambda database: database.find(keys))

    def find_files(self, paths: Iterable[bytes]) -> dict[bytes, KnownFile]:
        """Return the known state and SHA-256 of files, by path."""
        return self._intact(lambda database: database.find_files(paths))

    def write(self, entries: Mapping[bytes, Entry], files: Mapping[bytes, KnownFile]) -> None:
        """Write entries by key, and files by path."""
        if self._writable and (entries or files):
            self._writable = self._ask(lambda database: _write(database, entries, files), otherwise=False)

    def close(self) -> None:
        """Close the file until it is used again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _intact[T](self, question: Callable[[CacheDatabase], tuple[dict[bytes, T], int]]) -> dict[bytes, T]:
        """Return what was found, and warn of what is damaged."""
        nothing: tuple[dict[bytes, T], int] = {}, 0
        found, n_damaged = self._ask(question, nothing)
        if n_damaged:
            log.warning("%s: %d damaged entries are computed again", self.folder / FILE_NAME, n_damaged)
        return found

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
