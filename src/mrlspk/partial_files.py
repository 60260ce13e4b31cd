"""Make and lock ``F.partial``, the file or folder that becomes F when it is whole."""

import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import MrlspkError

if sys.platform != "win32":
    import fcntl

log = logging.getLogger("mrlspk.files")

SUFFIX = ".partial"
_ATTEMPTS = 100
_LONGEST_NAME = 255  # bytes, on every common file system
# Errors of locks that a file system does not have; the last is NFS and the file of another user.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF}


@dataclass
class Partial:
    """A partial file or folder; it is removed at the end, unless it has been put in place or is kept."""

    path: Path
    is_kept: bool = False


def partial_path(path: Path) -> Path:
    """Return ``F.partial`` beside ``path``; a name that would be too long is shortened and gets a checksum."""
    name = os.fsencode(path.name)
    if len(name) + len(SUFFIX) > _LONGEST_NAME:
        checksum = hashlib.sha256(name).hexdigest()[:8]
        name = name[: _LONGEST_NAME - len(SUFFIX) - len(checksum)] + checksum.encode()
    return path.with_name(os.fsdecode(name) + SUFFIX)


@contextmanager
def write_errors(path: Path, fix: str = "Give a folder that is writable and has room.") -> Iterator[None]:
    """Raise the errors of the system in the block as `MrlspkError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise MrlspkError(f"cannot be written: {error.strerror or error}", path, fix) from error


@contextmanager
def locked_partial(path: Path, *, is_folder: bool, take_up: bool = False) -> Iterator[Partial]:
    """Create the partial file or folder of ``path``, empty, and hold its lock in the block.

    The kernel frees the lock when the process ends. What a killed process left is named in a warning and removed; with
    ``take_up`` it is kept as it is.

    Raises:
        MrlspkError: If another process holds the lock, something else is in the way, or it cannot be created.
    """
    partial = partial_path(path)
    with write_errors(path):
        descriptor = _claim(partial, path, is_folder=is_folder, take_up=take_up)
        made, held = partial.stat(), Partial(partial)
    try:
        yield held
    finally:
        with write_errors(path):
            if not held.is_kept and _is_still(made, partial):
                _remove(partial)
            _close(descriptor)


def remove_left_files(folder: Path, names: str = ".*") -> None:
    """Remove the partial files in a folder that killed processes left.

    A file that a process is writing stays, and so does the partial folder of a report.

    Args:
        folder: The folder.
        names: Regular expression of the names that the files were to get.

    Raises:
        MrlspkError: If one cannot be removed.
    """
    for partial in folder.glob(f"*{SUFFIX}"):
        is_named = re.fullmatch(names, partial.name.removesuffix(SUFFIX), re.DOTALL)
        if is_named and partial.is_file() and not partial.is_symlink():
            with write_errors(partial):
                _remove_unless_locked(partial)


def _remove_unless_locked(partial: Path) -> None:
    descriptor = None
    try:
        descriptor = _open(partial, is_folder=False)
        _flock(descriptor)
        partial.unlink()
    except BlockingIOError:
        return
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        partial.unlink()
    finally:
        _close(descriptor)


def _claim(partial: Path, path: Path, *, is_folder: bool, take_up: bool) -> int | None:
    """Create and lock the partial; return the descriptor that holds the lock, if the file system has locks."""
    for _ in range(_ATTEMPTS):
        is_new = _make(partial, is_folder=is_folder)
        try:
            descriptor = _lock(partial, path, is_new=is_new, is_folder=is_folder)
            if is_new or take_up:
                return descriptor
            log.warning("%s: left by a process that was killed; removed", partial)
            _remove(partial)
            _close(descriptor)
        except FileNotFoundError:  # another process has put it in place, or removed it
            continue
        except PermissionError as error:
            fix = "Ask its owner to remove it, or give another path."
            raise MrlspkError("of another user is in the way", partial, fix) from error
    raise MrlspkError("other processes are writing it", path, "Wait for them, or give another path.")


def _make(partial: Path, *, is_folder: bool) -> bool:
    """Create the file or folder; return False if there is one already."""
    try:
        if is_folder:
            partial.mkdir()
        else:
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    return True


def _lock(partial: Path, path: Path, *, is_new: bool, is_folder: bool) -> int | None:
    """Lock the file or folder and return its descriptor; None for a new one on a file system without locks.

    Raises:
        MrlspkError: If another process holds the lock, or may hold it.
        FileNotFoundError: If the name is gone, or another file has it now.
    """
    descriptor = None
    try:
        descriptor = _open(partial, is_folder=is_folder)
        _flock(descriptor)
        if not _is_still(os.fstat(descriptor), partial):
            raise FileNotFoundError(partial)
    except BlockingIOError as error:
        _close(descriptor)
        raise MrlspkError("another process is writing it", path, "Wait for it, or give another path.") from error
    except OSError as error:
        _close(descriptor)
        if error.errno not in _NO_LOCKS:
            raise
        if is_new:
            return None
        fix = f"Wait for it; if there is none, a process that was killed has left {partial}: remove that."
        raise MrlspkError("another process may be writing it", path, fix) from error
    return descriptor


def _open(partial: Path, *, is_folder: bool) -> int:
    """Open a file or folder to lock it, also one of another user.

    Raises:
        MrlspkError: If it is of another kind.
    """
    found = partial.stat(follow_symlinks=False).st_mode
    if not (stat.S_ISDIR(found) if is_folder else stat.S_ISREG(found)):
        raise MrlspkError("is in the way", partial, "Remove it, or give another path.")
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, "no locks")
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    if is_folder:
        return os.open(partial, os.O_RDONLY | flags)
    try:
        return os.open(partial, os.O_RDWR | flags)  # NFS locks only what is open for writing
    except PermissionError:
        return os.open(partial, os.O_RDONLY | flags)


def _flock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(opened: os.stat_result, partial: Path) -> bool:
    """Return whether the name is still that of this file."""
    try:
        return os.path.samestat(opened, partial.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove(partial: Path) -> None:
    """Remove the name of a file, which may be a second name of a finished one, or a folder."""
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink()


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
