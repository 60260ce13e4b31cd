"""Name, find and lock the files of the cache folder."""

import logging
import re
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from mrlspk.errors import DownloadError, UsageError
from mrlspk.files import one_at_a_time
from mrlspk.partial_files import partial_path
from mrlspk.pretrained.registry import PublishedModel

OTHER_FOLDER = "Check permissions and free disk space, or name another cache folder with MRLSPK_CACHE_DIR."
LONGEST_NAME = 200  # bytes; file systems allow 255, and suffixes are added

logger = logging.getLogger("mrlspk.pretrained")


def shown(source: str | Path) -> str:
    """Return a path or URL without user name, password, query and fragment, so that messages do not leak secrets."""
    return str(source) if isinstance(source, Path) else re.sub(r"(?s)(?<=//)[^/?#]*@|[?#].*", "", source)


def file_name(url: str) -> str:
    """Return the name under which to keep the file at an http or https URL.

    Raises:
        DownloadError: If it is another kind of URL.
    """
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # such as a bracket that is not closed
        is_http = False
    if not is_http:
        raise DownloadError("expected an http or https address", shown(url), "Give a published name or an address.")
    name = PurePosixPath(unquote(parts.path)).name
    is_plain = name.isprintable() and name not in {"", ".", ".."} and len(name.encode()) <= LONGEST_NAME
    return name if is_plain else "model.pt"


def cached_path(model: PublishedModel, cache_dir: Path) -> Path:
    """Return the path of a published model in the cache, whether or not the file exists."""
    return expanded(cache_dir) / f"{model.name}{model.suffix}"


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
    return DownloadError(f"cannot be read: {error.strerror or error}", error.filename or path, OTHER_FOLDER)


def lock_model(path: Path, cache_dir: Path) -> AbstractContextManager[None]:
    """Return the lock of a file in the cache; the lock files have a folder of their own.

    Raises:
        DownloadError: If the lock file cannot be created.
    """
    return one_at_a_time(
        _lock_path(path, cache_dir),
        on_wait=lambda: logger.warning("waiting for another process that fetches %s", path),
        error_type=DownloadError,
        fix=OTHER_FOLDER,
    )


def remove_leftover(path: Path, cache_dir: Path) -> None:
    """Remove the part of a killed download, unless another process is at work on it or the folder is read-only."""
    if (partial := partial_path(path)).exists():
        with suppress(OSError), FileLock(_lock_path(path, cache_dir), timeout=0, mode=0o666):
            partial.unlink()


def _lock_path(path: Path, cache_dir: Path) -> Path:
    return cache_dir / ".locks" / "-".join((*path.relative_to(cache_dir).parts[:-1], f"{path.name}.lock"))
