"""Files that are written whole or not at all, never over others unasked, and by one process at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mrlspk.errors import MrlspkError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to; at the end it takes the place of ``path``, or after an error is gone.

    Raises:
        MrlspkError: If the file or its folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise MrlspkError(
            f"cannot be written: {error.strerror or error}", path, "Give a folder that can be written and has room."
        ) from error


@contextmanager
def locked(file: Path, *, on_wait: Callable[[], None], patience_seconds: float | None = None) -> Iterator[None]:
    """Hold a lock file in the block, once no other process does; the end of a process frees its locks.

    The empty lock file stays: to remove it could let two processes lock it at once.

    Args:
        file: The lock.
        on_wait: Called where another process holds it.
        patience_seconds: How long to wait for that one; None: as long as it takes.

    Raises:
        OSError: If the lock file or its folder cannot be made; a `TimeoutError`, which is one, if patience ran out.
    """
    lock = FileLock(file, mode=0o666)  # of a shared folder other users may be the next
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire(timeout=-1 if patience_seconds is None else patience_seconds)
    try:
        yield
    finally:
        lock.release()


def check_free(path: Path, *, force: bool) -> None:
    """Refuse, before any work, a path that may not or cannot be written.

    Raises:
        MrlspkError: If a file is there and ``force`` is false, or if something that is no folder is in the way.
    """
    try:
        taken = path.exists(follow_symlinks=False)
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise MrlspkError(f"cannot be written: {error.strerror}", path, "Give another path.") from error
    if taken and not force:
        raise MrlspkError("exists", path, "Give another name, or --force to overwrite it.")
    if path.is_dir() or not nearest.is_dir():
        raise MrlspkError(f"{path if path.is_dir() else nearest} is in the way", path, "Give another path.")
