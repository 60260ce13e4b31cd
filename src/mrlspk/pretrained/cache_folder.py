"""Name, find, lock and write the files of the cache folder."""

import hashlib
import logging
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from mrlspk.errors import DownloadError, MrlspkError, UsageError
from mrlspk.files import one_at_a_time, whole_file
from mrlspk.pretrained.registry import PublishedModel

OTHER_FOLDER = "Free disk space, or give a writable folder with `cache_dir` or MRLSPK_CACHE_DIR."

logger = logging.getLogger("mrlspk.pretrained")


class RecordError(DownloadError):
    """A small file beside a fetched one cannot be written."""


def shown(source: str | Path) -> str:
    """Return a path or URL without user name, password and query, so that messages do not leak secrets.

    A URL that cannot be parsed is returned as it is.
    """
    if isinstance(source, Path):
        return str(source)
    try:
        address = urlsplit(source)
    except ValueError:
        return source
    return urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))


def fingerprint(address: str) -> str:
    """Return a hash that identifies a URL without revealing it."""
    return hashlib.sha256(address.encode()).hexdigest()


def file_name(address: str) -> str:
    """Return the name under which to keep the file at an http or https URL.

    Raises:
        DownloadError: If it is another kind of URL.
    """
    wrong = DownloadError("expected an http or https address", shown(address), "Give a published name or an address.")
    try:
        parts = urlsplit(address)
    except ValueError as error:  # such as a bracket that is not closed
        raise wrong from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong
    name = PurePosixPath(unquote(parts.path)).name
    return name if name.isprintable() and name not in {"", ".", ".."} else "model.pt"


def cached_path(model: PublishedModel, cache_dir: Path) -> Path:
    """Return the path of a published model in the cache, whether or not the file exists.

    Raises:
        UsageError: If ``cache_dir`` is in the home folder of an unknown user.
    """
    return expanded(cache_dir) / f"{model.name}.pt"


def is_cached(model: PublishedModel, cache_dir: Path) -> bool:
    """Say whether the file of a published model is in the cache.

    Raises:
        UsageError: If ``cache_dir`` is in the home folder of an unknown user.
        DownloadError: If the folder cannot be read.
    """
    path = cached_path(model, cache_dir)
    try:
        return path.is_file()
    except OSError as error:
        raise unreadable(error, path) from error


def expanded(folder: Path) -> Path:
    """Return a folder with ``~`` expanded.

    Raises:
        UsageError: If it is in the home folder of an unknown user.
    """
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise UsageError("there is no such user", folder, "Give another folder.") from error


def unreadable(error: OSError, path: Path) -> DownloadError:
    """Return the error to raise if ``path`` cannot be read."""
    fix = "Check its permissions, or give another folder with `cache_dir` or MRLSPK_CACHE_DIR."
    return DownloadError(f"cannot be read: {error.strerror or error}", error.filename or path, fix)


def lock_model(path: Path, cache_dir: Path) -> AbstractContextManager[None]:
    """Return the lock of a file in the cache; the lock files have a folder of their own.

    Raises:
        DownloadError: If the folder of ``path`` or of the lock cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"cannot be locked: {error.strerror or error}", path, OTHER_FOLDER) from error
    return one_at_a_time(
        cache_dir / ".locks" / "-".join((*path.relative_to(cache_dir).parts[:-1], f"{path.name}.lock")),
        on_wait=lambda: logger.warning("waiting for another process that fetches %s", path),
        error_type=DownloadError,
        fix=OTHER_FOLDER,
    )


def write_record_file(path: Path, text: str) -> None:
    """Write a small file, whole or not at all.

    Raises:
        RecordError: If it cannot be written.
    """
    try:
        with whole_file(path, force=True) as partial:
            partial.write_text(text, encoding="utf-8")
    except MrlspkError as error:
        raise RecordError(error.what, path, OTHER_FOLDER) from error
