"""The small files beside fetched ones: recorded SHA-256 and locks."""

import logging
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError, MrlspkError
from mrlspk.files import one_at_a_time, whole_file

OTHER_FOLDER = "Free disk space, or give a folder that can be written with --cache-dir or MRLSPK_CACHE_DIR."

GIVEN = "# given with --sha256"  # sha256sum passes over such a line
logger = logging.getLogger("mrlspk.pretrained")


@dataclass(frozen=True)
class Record:
    """The SHA-256 of a file as it first came; ``given`` says that the user named it, which stands over the registry."""

    sha256: str
    given: bool = False


class RecordError(DownloadError):
    """A small file beside a fetched one that cannot be written."""


def is_sha256(text: str) -> bool:
    """Say whether ``text`` is a SHA-256 in lower-case hexadecimal."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def read_record(path: Path, *, strict: bool = True) -> Record | None:
    """Return what was recorded when ``path`` first came, or None.

    Raises:
        DownloadError: If the record cannot be read, or is not a SHA-256 (where not ``strict``, that counts as none).
    """
    file = record_path(path)
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DownloadError(f"cannot be read: {error.strerror}", file, "Check its permissions.") from error
    words = [line.split() for line in lines if not line.startswith("#")]
    if words and words[0] and is_sha256(words[0][0]):
        return Record(words[0][0], given=GIVEN in lines)
    if strict:
        raise DownloadError("expected a line '<SHA-256>  <file>'", file, "Give --force to fetch the file again.")
    return None


def recorded_sha256(path: Path, *, strict: bool = True) -> str | None:
    """Return the SHA-256 that was recorded when ``path`` first came, or None; see `read_record`."""
    record = read_record(path, strict=strict)
    return None if record is None else record.sha256


def write_record(path: Path, record: Record) -> None:
    """Write the SHA-256 beside ``path``, in the form that sha256sum checks, unless it stands there already.

    Raises:
        RecordError: If it cannot be written.
    """
    if read_record(path, strict=False) != record:
        write_whole(record_path(path), f"{record.sha256}  {path.name}\n" + (f"{GIVEN}\n" if record.given else ""))


def write_whole(path: Path, text: str) -> None:
    """Write a small file, whole or not at all.

    Raises:
        RecordError: If it cannot be written.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except MrlspkError as error:
        raise RecordError(error.what, path, OTHER_FOLDER) from error


def record_path(path: Path) -> Path:
    """Return where the SHA-256 of ``path`` is recorded."""
    return path.with_name(f"{path.name}.sha256")


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
