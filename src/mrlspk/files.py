"""Write files whole or not at all, lock them between processes, and compute their SHA-256."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mrlspk.errors import MrlspkError

CHUNK_BYTES = 1 << 20

type OnProgress = Callable[[int, int], None]
"""Called with (work done so far, work in all)."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it replaces ``path`` at the end, or is removed after an error.

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
            f"cannot be written: {error.strerror or error}", path, "Give a folder that is writable and has room."
        ) from error


def check_free(path: Path, *, force: bool) -> None:
    """Check, before any work, that ``path`` can be written.

    Raises:
        MrlspkError: If it exists and ``force`` is false, or if a folder or a file is in the way.
    """
    try:
        exists = path.exists(follow_symlinks=False)
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise MrlspkError(f"cannot be written: {error.strerror}", path, "Give another path.") from error
    if exists and not force:
        raise MrlspkError("exists", path, "Give another name, or `force` to overwrite it.")
    if path.is_dir() or not nearest.is_dir():
        raise MrlspkError(f"{path if path.is_dir() else nearest} is in the way", path, "Give another path.")


@contextmanager
def one_at_a_time(
    lock_file: Path,
    *,
    on_wait: Callable[[], None],
    patience_seconds: float | None = None,
    busy: MrlspkError | None = None,
    error_type: type[MrlspkError] = MrlspkError,
    fix: str = "Give a folder that is writable.",
) -> Iterator[None]:
    """Hold a lock in the block; when a process ends, its locks are free.

    The empty lock file stays. If it were removed, two processes could hold the lock at once.

    Args:
        lock_file: Its folder is created.
        on_wait: Called once if another process holds the lock.
        patience_seconds: How long to wait for that process. None: as long as it takes.
        busy: The error to raise after that time.
        error_type: Raised, with ``fix``, if the lock file or its folder cannot be created.
        fix: What the user can do about that.

    Raises:
        MrlspkError: ``busy`` or ``error_type``.
    """
    lock = FileLock(lock_file, mode=0o666)  # in a shared folder, the next to lock may be another user
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire(timeout=-1 if patience_seconds is None else patience_seconds)
    except OSError as error:
        if isinstance(error, Timeout) and busy is not None:
            raise busy from error
        raise error_type(f"cannot be locked: {error.strerror or error}", lock_file, fix) from error
    try:
        yield
    finally:
        lock.release()


def file_sha256(path: Path, on_progress: OnProgress | None = None) -> str:
    """Return the SHA-256 of a file in hexadecimal; ``on_progress`` is called with (bytes so far, bytes in all)."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            if on_progress is not None:
                on_progress(done, total)
    return digest.hexdigest()
