"""SHA-256 of files, and the small text files that are kept beside fetched ones."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError, MrlspkError
from mrlspk.files import whole_file

CHUNK_BYTES = 1 << 20
OTHER_FOLDER = "Free disk space, or give a folder that can be written with --cache-dir or MRLSPK_CACHE_DIR."

GIVEN = "# given with --sha256"  # sha256sum passes over such a line

type OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Record:
    """The SHA-256 of a file as it first came; ``given`` says that the user named it, which stands over the registry."""

    sha256: str
    given: bool = False


class RecordError(DownloadError):
    """A small file beside a fetched one that cannot be written."""


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
