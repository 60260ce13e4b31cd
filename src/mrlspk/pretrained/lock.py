"""One process at a time for each fetched file."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mrlspk.errors import DownloadError
from mrlspk.pretrained.records import OTHER_FOLDER

logger = logging.getLogger("mrlspk.pretrained")


@contextmanager
def one_at_a_time(path: Path, cache_dir: Path) -> Iterator[None]:
    """Hold the lock of ``path`` in the block, once no other process does; the end of a process frees its locks.

    The empty lock files stay in a folder of their own: to remove one could let two processes lock it at once.

    Raises:
        DownloadError: If the folders of ``path`` and of the lock cannot be made.
    """
    file = cache_dir / ".locks" / "-".join((*path.relative_to(cache_dir).parts[:-1], f"{path.name}.lock"))
    lock = FileLock(file, mode=0o666)  # of a shared folder other users may be the next
    try:
        for folder in (path.parent, file.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning("waiting for another process that fetches %s", path)
            lock.acquire()
    except OSError as error:
        raise DownloadError(f"cannot be locked: {error.strerror or error}", path, OTHER_FOLDER) from error
    try:
        yield
    finally:
        lock.release()
