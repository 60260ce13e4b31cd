"""Write files and folders whole or not at all, lock them between processes, and compute their SHA-256."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mrlspk.errors import MrlspkError
from mrlspk.partial_files import Partial, locked_partial, partial_path, write_errors

CHUNK_BYTES = 1 << 20
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}  # errors of a name that is not free

type OnProgress = Callable[[float, int], None]
"""Called with (work done so far, which may count a part of an item, and work in all)."""


class UnwrittenError(MrlspkError):
    """A result that is whole and could not be written.

    Args:
        error: What went wrong.
        result: What the workflow would have returned, without path and size of the file.
    """

    def __init__(self, error: MrlspkError, result: object) -> None:
        super().__init__(error.what, error.where, error.fix, parameter=error.parameter)
        self.result = result


@dataclass(frozen=True)
class Claim:
    """The right to write a file: no other process has it until the block of `claimed_file` ends."""

    path: Path
    force: bool
    _partial: Partial

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield ``F.partial``, empty, to write; it becomes ``path`` at the end.

        Raises:
            MrlspkError: If it cannot be written. If it cannot become ``path``, because a file of that name has
                appeared, ``F.partial`` is kept.
        """
        with write_errors(self.path):
            yield self._partial.path
            with self._partial.path.open("rb+") as file:
                os.fsync(file.fileno())
        _put_in_place(self._partial, self.path, os.replace if self.force else _link)

    @property
    def rows(self) -> Path:
        """``F.partial``, to collect in it what `writing_from_rows` turns into ``path``."""
        return self._partial.path

    @property
    def keeps_rows(self) -> bool:
        """Whether ``F.partial`` stays at the end."""
        return self._partial.is_kept

    def keep_rows(self) -> None:
        """Keep ``F.partial`` at the end, for a process that takes it up."""
        self._partial.is_kept = True

    def drop_rows(self) -> None:
        """Remove ``F.partial`` at the end: what is in it has been written, or is of no use."""
        self._partial.is_kept = False

    @contextmanager
    def writing_from_rows(self) -> Iterator[Path]:
        """Yield an empty file to write beside ``F.partial``; it becomes ``path``, and ``F.partial`` is removed.

        Raises:
            MrlspkError: As of `writing`.
        """
        with locked_partial(self._partial.path, is_folder=False) as whole:
            with write_errors(self.path, fix=f"Make room, then give `resume`: {self.rows} has what is to be written."):
                yield whole.path
                with whole.path.open("rb+") as file:
                    os.fsync(file.fileno())
            _put_in_place(whole, self.path, os.replace if self.force else _link)
        self._partial.is_kept = False


@contextmanager
def claimed_file(path: Path, *, force: bool, take_up: bool = False) -> Iterator[Claim]:
    """Claim ``path`` before the work that makes its contents.

    A symbolic link counts as a file: ``force`` replaces the link, not its target. ``F.partial`` and new folders are
    removed at the end unless they were used. ``take_up`` keeps what a killed process left in ``F.partial``.

    Raises:
        MrlspkError: If the file exists and ``force`` is false, another process is writing it, or it cannot be created.
    """
    check_free(path, force=force)
    with _new_folders(path), locked_partial(path, is_folder=False, take_up=take_up) as partial:
        check_free(path, force=force)  # another process may just have finished it
        yield Claim(path, force, partial)


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield ``F.partial``, empty, to write; it becomes ``path`` at the end, or is removed after an error.

    Raises:
        MrlspkError: If the file exists and ``force`` is false, another process is writing it, or it cannot be written.
    """
    with claimed_file(path, force=force) as claim, claim.writing() as partial:
        yield partial


@contextmanager
def whole_folder(folder: Path, *, force: bool) -> Iterator[Path]:
    """Yield ``F.partial``, an empty folder, to fill; it becomes ``folder`` at the end, or is removed after an error.

    Raises:
        MrlspkError: If another process is writing it, or it cannot be written. If there is a folder of that name that
            is not empty, and ``force`` is false, ``F.partial`` is kept.
    """
    folder = Path(os.path.realpath(folder))
    if folder.is_symlink():
        raise MrlspkError("is a loop of symbolic links", folder, "Give another path.")
    with _new_folders(folder), locked_partial(folder, is_folder=True) as partial:
        with write_errors(folder):
            yield partial.path
        _put_in_place(partial, folder, _swap if force else os.rename)
        with write_errors(folder):
            _remove_earlier(folder)


def _put_in_place(partial: Partial, path: Path, put: Callable[[Path, Path], None]) -> None:
    """Give a whole partial its name; if that fails, keep it."""
    try:
        put(partial.path, path)
    except OSError as error:
        partial.is_kept = True
        what = "appeared meanwhile" if error.errno in _TAKEN else f"cannot be written: {error.strerror}"
        raise MrlspkError(what, path, f"What was to be written is in {partial.path}: rename it.") from error


def _link(partial: Path, path: Path) -> None:
    """Rename a file unless ``path`` exists, which ``os.rename`` would replace.

    Raises:
        FileExistsError: If it does.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        if not path.samefile(partial):  # NFS may repeat a request that it has met
            raise
    except OSError:  # no hard links here: reserve the name with an empty file
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            partial.replace(path)
        except BaseException:
            path.unlink()
            raise
        return
    partial.unlink()


def _swap(partial: Path, folder: Path) -> None:
    """Rename a folder; an earlier one of that name is moved away."""
    earlier = _earlier(folder)
    try:
        if folder.exists():
            _remove_earlier(folder)
            folder.rename(earlier)
        partial.rename(folder)
    except BaseException:
        if earlier.exists() and not folder.exists():
            earlier.rename(folder)
        raise


def _earlier(folder: Path) -> Path:
    return partial_path(folder.with_name(f"{folder.name}.earlier"))


def _remove_earlier(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(_earlier(folder))


@contextmanager
def _new_folders(path: Path) -> Iterator[None]:
    """Create the folders of a file; those that are still empty at the end are removed."""
    with write_errors(path):
        new = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in new:
            with suppress(OSError):  # not empty
                folder.rmdir()


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        MrlspkError: If it cannot be removed.
    """
    with write_errors(path):
        path.unlink(missing_ok=True)


def check_free(path: Path, *, force: bool) -> None:
    """Check, before any work, that ``path`` can be written.

    Raises:
        MrlspkError: If it exists and ``force`` is false, or if it is no file, or below one.
    """
    with write_errors(path):
        exists = path.exists(follow_symlinks=False)
        is_other = path.exists() and not path.is_file()  # a folder, a device, a pipe
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
    if exists and not force:
        raise MrlspkError("exists", path, "Give another name, or `force` to overwrite it.")
    if is_other or not nearest.is_dir():
        raise MrlspkError(f"{path if is_other else nearest} is in the way", path, "Give another path.")


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
        _make_lock_folder(lock_file.parent)
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


def _make_lock_folder(folder: Path) -> None:
    """Create the folder of a lock with the permissions of its parent, so that those who share that share the locks."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode))


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
