"""Keep the voices of an index in a folder, for one writer and any number of readers at a time."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from mrlspk.data.problems import Problem
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.check import check_index
from mrlspk.index.store.compaction import compact
from mrlspk.index.store.database import PATIENCE_SECONDS, Database
from mrlspk.index.store.mapped_arrays import MappedArrays
from mrlspk.index.store.new_index import create_index
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.shortlist_change import replace_shortlist
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.store.transactions import reading, writing
from mrlspk.index.store.writer import Writer


class VoiceStore:
    """The voices of an index on disk; several threads may use one object.

    Args:
        folder: Of the index.
        patience_seconds: How long a change waits for that of another process.

    Raises:
        MrlspkError: If the folder is no index, or one that this version cannot read.
    """

    def __init__(self, folder: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.folder = folder
        self._database = Database(folder, patience_seconds=patience_seconds)
        self._arrays: MappedArrays | None = None

    @classmethod
    def create(cls, folder: Path, settings: IndexSettings) -> Self:
        """Create an index without voices in a new or empty folder.

        Raises:
            MrlspkError: If the folder has files, or cannot be written.
        """
        create_index(folder, settings)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> Self:
        """Open an index; no vector is read.

        Raises:
            MrlspkError: If the folder is no index, or one that this version cannot read.
        """
        return cls(folder, patience_seconds=patience_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and forget the mapped arrays; every later call is a `UsageError`."""
        self._database.close()
        self._arrays = None

    def writing(self) -> AbstractContextManager[Writer]:
        """Return a context that changes the index: at its end all is on the disk; after an error nothing has changed.

        Embed recordings before it: other processes wait for its end.

        Raises:
            MrlspkError: If another process is changing the index for too long, or the folder cannot be written.
        """
        return writing(self._database, self.folder)

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """Yield the index as it is now; it waits for no other process, and none waits for it.

        Raises:
            MrlspkError: If an array file is missing or too short.
        """
        with reading(self._database, self.folder, self._arrays) as (connection, arrays):
            self._arrays = arrays
            yield Snapshot(connection, arrays)

    def replace_shortlist(self, spec: ShortlistSpec) -> None:
        """Shortlist voices another way; searches change over at once.

        Raises:
            MrlspkError: If the folder cannot be written or has no room.
        """
        replace_shortlist(self._database, self.folder, spec)

    def compact(self, dim: int | None = None) -> None:
        """Delete every byte of removed voices from the folder; with ``dim`` also narrow the stored vectors.

        Raises:
            UsageError: If ``dim`` is no width that decisions can be made at.
            MrlspkError: If there is no room, or another process reads an earlier state for too long.
        """
        compact(self._database, self.folder, dim)

    def check(self) -> list[Problem]:
        """Return every problem of database and array files; warnings tell what interrupted changes left."""
        return check_index(self._database, self.folder)
