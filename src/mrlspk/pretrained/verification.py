"""Decide which SHA-256 a fetched file must have, and record it beside the file."""

import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError
from mrlspk.pretrained.cache_folder import write_record_file
from mrlspk.pretrained.registry import PublishedModel

ZIP_BEGINS = b"PK\x03\x04"  # as every checkpoint of torch.save does
GIVEN = "# given with --sha256"  # a line of the record that sha256sum skips

logger = logging.getLogger("mrlspk.pretrained")


@dataclass(frozen=True)
class Record:
    """The SHA-256 of a file at its first fetch; ``given``: the user named it, and it overrides the registry."""

    sha256: str
    given: bool = False


@dataclass(frozen=True)
class Expected:
    """The SHA-256 that a file must have.

    If none is known, a published model must at least not be an error page or a truncated file.

    Attributes:
        sha256: None if it is not known.
        given: Whether the user gave it, now or at the first fetch.
        recorded: Whether it was recorded at the first fetch.
        model: The published model that was asked for, if one was.
    """

    sha256: str | None
    given: bool
    recorded: bool
    model: PublishedModel | None

    def problem(self, path: Path, sha256: str) -> str | None:
        """Return why a file with this SHA-256 is not the expected one; None if it is."""
        if self.sha256 not in {None, sha256}:
            return f"expected SHA-256 {self.sha256}, got {sha256}"
        if self.model is None or self.given or self.model.sha256 is not None:
            return None
        size = path.stat().st_size
        if self.model.bytes not in {None, size}:
            return f"expected {self.model.bytes:,} bytes, got {size:,}"
        found = _not_a_checkpoint(path)
        return f"expected a checkpoint, got {found}" if found else None

    def remedy(self, sha256: str) -> str:
        """Return what to do about a downloaded file that was rejected; ``sha256`` is its own."""
        if self.sha256 is None:
            return (
                "It was not kept: it may be an error page of the server or a truncated file. Try again, or set "
                f"MRLSPK_MIRROR. If it is the file you want, give `sha256={sha256}`."
            )
        forget = "`force`, which forgets the SHA-256 of the first fetch, or " if self.recorded else ""
        return (
            "The file was not kept. If the published file has changed and you trust it, give "
            f"{forget}`sha256={sha256}`."
        )

    def to_record(self, sha256: str) -> Record:
        """Return the record of a file that is the expected one."""
        return Record(sha256, given=self.given and (self.model is None or self.model.sha256 != sha256))

    def warn_of_override(self) -> None:
        """Warn if the user's own SHA-256 overrides that of the registry."""
        if self.given and self.model is not None and self.model.sha256 not in {None, self.sha256}:
            logger.warning(
                "%s: using the file with SHA-256 %s, given earlier with `sha256`; the registry has %s "
                "(`force` without `sha256` restores the published file)",
                self.model.name,
                self.sha256,
                self.model.sha256,
            )


def expect(*, given: str | None, record: Record | None, model: PublishedModel | None) -> Expected:
    """Return the expected SHA-256: given now or earlier by the user, else from the registry, else from the record."""
    known = model.sha256 if model is not None else None
    if given is not None:
        return Expected(given, given=True, recorded=False, model=model)
    if record is not None and (record.given or known is None):
        return Expected(record.sha256, given=record.given, recorded=True, model=model)
    return Expected(known, given=False, recorded=False, model=model)


def _not_a_checkpoint(path: Path) -> str | None:
    """Return what a broken server sent in place of a checkpoint, if that is plain; else None."""
    with path.open("rb") as file:
        beginning = file.read(512)
    if not beginning:
        return "an empty file"
    if beginning.lstrip()[:1] in (b"<", b"{", b"["):
        return "a page of text"
    if beginning.startswith(ZIP_BEGINS) and not zipfile.is_zipfile(path):
        return f"a truncated file of {path.stat().st_size:,} bytes"
    return None


def is_sha256(text: str) -> bool:
    """Say whether ``text`` is a SHA-256 in lower-case hexadecimal."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def read_record(path: Path, *, strict: bool = True) -> Record | None:
    """Return the record of the first fetch of ``path``, or None.

    Raises:
        DownloadError: If the record cannot be read or is not a SHA-256; unless ``strict``, the latter counts as none.
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
        raise DownloadError("expected a line '<SHA-256>  <file>'", file, "Give `force` to fetch the file again.")
    return None


def recorded_sha256(path: Path, *, strict: bool = True) -> str | None:
    """Return the SHA-256 of the first fetch of ``path``, or None; see `read_record`."""
    record = read_record(path, strict=strict)
    return None if record is None else record.sha256


def write_record(path: Path, record: Record) -> None:
    """Write the SHA-256 beside ``path``, in the form that sha256sum checks, unless it is there already.

    Raises:
        RecordError: If it cannot be written.
    """
    if read_record(path, strict=False) != record:
        text = f"{record.sha256}  {path.name}\n" + (f"{GIVEN}\n" if record.given else "")
        write_record_file(record_path(path), text)


def record_path(path: Path) -> Path:
    """Return the path of the record of ``path``."""
    return path.with_name(f"{path.name}.sha256")
