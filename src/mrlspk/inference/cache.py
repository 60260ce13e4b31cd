"""Embeddings kept from one run to the next; where they cannot be kept, the work goes on without."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mrlspk.inference.cache_database import FILE_NAME, CacheDatabase, CacheError, DamagedCacheError, KnownFile
from mrlspk.inference.kept import Kept

log = logging.getLogger("mrlspk.inference")

DAMAGED_SUFFIX = ".damaged"


class EmbeddingCache:
    """A folder in which embeddings are kept, for any number of models and processes.

    Nothing in it is needed: a folder that cannot be used is told once, and a damaged file is set aside for a new one.

    Args:
        folder: Made when it is first used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database: CacheDatabase | None = None
        self._inode: int | None = None
        self._usable, self._writable, self._was_set_aside = True, True, False

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Kept]:
        """Return what is kept, by key."""
        nothing: tuple[dict[bytes, Kept], int] = {}, 0
        found, n_damaged = self._ask(lambda database: database.find(keys), nothing)
        if n_damaged:
            log.warning("%s: %d damaged entries are made anew", self.folder / FILE_NAME, n_damaged)
        return found

    def find_files(self, paths: Iterable[bytes]) -> dict[bytes, KnownFile]:
        """Return what is known of files, by path."""
        return self._ask(lambda database: database.find_files(paths), {})

    def write(self, kept: Mapping[bytes, Kept], files: Mapping[bytes, KnownFile]) -> None:
        """Keep entries by key, and what is known of files by path."""
        if self._writable and (kept or files):
            self._writable = self._ask(lambda database: _write(database, kept, files), otherwise=False)

    def close(self) -> None:
        """Close the file, until it is used again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _ask[T](self, question: Callable[[CacheDatabase], T], otherwise: T) -> T:
        """Return the answer, if need be of a new database in place of a damaged one."""
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
        """Rename the damaged file, unless another process has done so; a second time, give up."""
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
            log.warning("%s is damaged (%s) and was renamed to %s; embeddings are made anew", path, fault.what, aside)

    def _give_up(self, fault: CacheError) -> None:
        self.close()
        self._usable = False
        log.warning("embeddings are not kept: %s", fault)


def _write(database: CacheDatabase, kept: Mapping[bytes, Kept], files: Mapping[bytes, KnownFile]) -> bool:
    """Write, and return whether writing may go on: what is there can be read even so."""
    try:
        database.write(kept, files)
    except DamagedCacheError:
        raise
    except CacheError as error:
        log.warning("embeddings are not kept: %s", error)
        return False
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:  # whoever opens it says why
        return None
