"""SHA-256 of files, and the small text files that are kept beside fetched ones."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from mrlspk.errors import DownloadError, MrlspkError
from mrlspk.files import whole_file

CHUNK_BYTES = 1 << 20
OTHER_FOLDER = "Free disk space, or give a folder that can be written with --cache-dir or MRLSPK_CACHE_DIR."

type OnProgress = Callable[[int, int], None]


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


def recorded_sha256(path: Path, *, strict: bool = True) -> str | None:
    """Return the SHA-256 that was recorded when ``path`` first came, or None.

    Raises:
        DownloadError: If the record is not a SHA-256 (where not ``strict``, that counts as none).
    """
    record = _record(path)
    if not record.is_file():
        return None
    words = record.read_text(encoding="utf-8", errors="replace").split()
    if words and is_sha256(words[0]):
        return words[0]
    if strict:
        raise DownloadError("expected a line '<SHA-256>  <file>'", record, "Give --force to fetch the file again.")
    return None


def record_sha256(path: Path, sha256: str) -> None:
    """Write the SHA-256 beside ``path``, in the form that sha256sum checks, unless it stands there already.

    Raises:
        RecordError: If it cannot be written.
    """
    if recorded_sha256(path, strict=False) != sha256:
        write_record(_record(path), f"{sha256}  {path.name}\n")


def write_record(path: Path, text: str) -> None:
    """Write a small file, whole or not at all.

    Raises:
        RecordError: If it cannot be written.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except MrlspkError as error:
        raise RecordError(error.what, path, OTHER_FOLDER) from error


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
