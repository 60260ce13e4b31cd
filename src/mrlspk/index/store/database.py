"""Open the SQLite file of an index and keep a pool of connections to it."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrlspk.errors import MrlspkError, UsageError
from mrlspk.index.store.database_errors import NO_ROOM, database_errors, error_code
from mrlspk.index.store.schema import APPLICATION_ID, SCHEMA_VERSION
from mrlspk.reading import is_file

FILE_NAME = "index.sqlite"
PATIENCE_SECONDS = 30.0
PRAGMAS = (  # none of them is kept in the file
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_size_limit = 16777216",  # bytes of the log after a large change
    "PRAGMA temp_store = MEMORY",  # names of voices are written to no other folder
)


class _ImmutableConnection(sqlite3.Connection):
    """A connection to a file that is taken not to change."""


class Database:
    """The SQLite file of an index, with a pool of connections: a thread uses one that no other is using.

    Args:
        folder: Of the index.
        patience_seconds: How long to wait for another process that is changing the index.

    Raises:
        MrlspkError: If the folder is no index, or one that this version cannot read.
    """

    def __init__(self, folder: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.path = folder / FILE_NAME
        self._patience_seconds = patience_seconds
        self._process = os.getpid()
        self._idle: list[sqlite3.Connection] = []
        self._of_parent: list[sqlite3.Connection] = []
        self._is_closed = False
        _check_is_file(self.path)
        with self.connection() as connection:
            _check_schema(connection, self.path)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection outside a transaction; what the block leaves open is rolled back.

        Raises:
            MrlspkError: For an error of the database in the block.
            UsageError: If the database was closed.
        """
        if self._is_closed:
            what = f"the index was closed: {self.path.parent}"
            raise UsageError(what, fix="Open it again with `mrlspk.VoiceIndex.open`.")
        with database_errors(self.path):
            connection = self._take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if connection.in_transaction:
                connection.rollback()
            if isinstance(connection, _ImmutableConnection) or self._is_closed:
                connection.close()
            else:
                self._idle.append(connection)

    def begin_alone(self, connection: sqlite3.Connection) -> bool:
        """Begin a transaction during which no other process changes the index; False if one is changing it now."""
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error_code(error) == sqlite3.SQLITE_BUSY:
                return False
            if error_code(error) != sqlite3.SQLITE_READONLY:
                raise
            connection.execute("BEGIN")
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * self._patience_seconds)}")
        return True

    def close(self) -> None:
        """Close the connections; one that is in use, when its block ends. There are no others from then on."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> sqlite3.Connection:
        if os.getpid() != self._process:  # a connection may not be used after a fork, nor closed
            self._of_parent, self._idle, self._process = self._idle, [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return _connect(self.path, self._patience_seconds)


def _connect(path: Path, patience_seconds: float) -> sqlite3.Connection:
    """Return a connection with its settings; it can read at least."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # a file that is not there is not made
        uri=True,
        timeout=patience_seconds,
        isolation_level=None,  # transactions begin and end where the code says so
        check_same_thread=False,
    )
    try:
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if error_code(error) in NO_ROOM and _has_no_log(path):
            return _connect_immutable(path)
        raise
    return connection


def _connect_immutable(path: Path) -> sqlite3.Connection:
    """Return a connection to a file in a folder that is read-only or full, where SQLite cannot make its shared memory.

    It sees no change that another process makes: it is good for one transaction.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?immutable=1",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        factory=_ImmutableConnection,
    )


def _has_no_log(path: Path) -> bool:
    """Whether all changes are in the file itself."""
    log = path.with_name(f"{path.name}-wal")
    return not log.exists() or log.stat().st_size == 0


def _check_is_file(path: Path) -> None:
    if not is_file(path, MrlspkError):
        what = "is not a voice index" if path.parent.exists() else "no such folder"
        raise MrlspkError(what, path.parent, f"To make an index: mrlspk index create {_new_folder(path.parent)}")


def _new_folder(folder: Path) -> str:
    """Return the path of an index that could be made: a folder that holds something else stays as it is."""
    return "DIR" if folder.exists() else shlex.quote(str(folder))


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is not an index, or of a version that this one does not know."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    kinds = {kind for (kind,) in connection.execute("SELECT type FROM sqlite_master")}
    if application_id != APPLICATION_ID or kinds & {"view", "trigger"}:  # those could answer anything
        raise MrlspkError("is not a voice index", path, "To make an index: mrlspk index create DIR")
    if version != SCHEMA_VERSION:
        what = f"expected an index of schema version {SCHEMA_VERSION}, got version {version}"
        raise MrlspkError(what, path, "Install the version of mrlspk that made it, or a newer one.")
