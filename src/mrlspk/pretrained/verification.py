"""Decide which SHA-256 a fetched file must have, and record it beside the file."""

import logging
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError, MrlspkError
from mrlspk.files import whole_file
from mrlspk.pretrained.cache_folder import OTHER_FOLDER, cached_path, unreadable
from mrlspk.pretrained.registry import PublishedModel, list_models

SHA256 = re.compile("[0-9a-f]{64}")
ZIP_BEGINS = b"PK\x03\x04"  # as every checkpoint of torch.save does
GIVEN = "# given with --sha256"  # a line of the record that sha256sum skips
LONGEST_RECORD = 4096  # characters that are read

logger = logging.getLogger("mrlspk.pretrained")


@dataclass(frozen=True)
class Record:
    """The SHA-256 of a file at its first fetch; ``given``: the user named it, and it overrides the registry."""

    sha256: str
    given: bool = False


@dataclass(frozen=True)
class Expected:
    """The SHA-256 that a file must have; ``given``: by the user, now or at the first fetch.

    If none is known (None), a published model must at least not be an error page or a truncated file. ``command``
    fetches the file.
    """

    sha256: str | None
    given: bool
    model: PublishedModel | None
    command: str

    def command_to_replace(self, sha256: str | None) -> str:
        """Return the command that replaces the file by one of this SHA-256, or by the published one."""
        return f"{self.command} --force" + (f" --sha256 {sha256}" if sha256 is not None else "")

    def can_verify(self, part: Path) -> bool:
        """Return whether a file that begins with ``part`` can be verified.

        It can by its SHA-256, and a published model by the checksums that a checkpoint of torch.save holds.
        """
        if self.sha256 is not None or self.model is None:
            return self.sha256 is not None
        with part.open("rb") as file:
            return file.read(len(ZIP_BEGINS)) == ZIP_BEGINS

    def problem(self, path: Path, sha256: str) -> str | None:
        """Return why a file with this SHA-256 is not the expected one; None if it is."""
        if self.sha256 is not None:
            return None if sha256 == self.sha256 else f"expected SHA-256 {self.sha256}, got {sha256}"
        found = _not_a_checkpoint(path) if self.model is not None else None
        return f"expected a checkpoint, got {found}" if found else None

    def warn_of_override(self) -> None:
        """Warn if the user's own SHA-256 overrides that of the registry."""
        if self.given and self.model is not None and self.model.sha256 not in {None, self.sha256}:
            logger.warning(
                "%s: using the file with SHA-256 %s, given by the user; the registry has %s. To restore the published "
                "file, type: %s",
                *(self.model.name, self.sha256, self.model.sha256, self.command_to_replace(None)),
            )


def known_sha256(record: Record | None, model: PublishedModel | None) -> str | None:
    """Return the SHA-256 that the user gave at the first fetch, else the published one, else the recorded one."""
    published = model.sha256 if model is not None else None
    return record.sha256 if record is not None and (record.given or published is None) else published


def _not_a_checkpoint(path: Path) -> str | None:
    """Return what a broken server sent in place of a checkpoint, if that is plain; else None."""
    with path.open("rb") as file:
        beginning = file.read(512)
    if not beginning:
        return "an empty file"
    if beginning.lstrip()[:1] in (b"<", b"{", b"["):
        return "a page of text"
    if beginning.startswith(ZIP_BEGINS) and not _is_whole_zip(path):
        return f"a truncated or damaged file of {path.stat().st_size:,} bytes"
    return None


def _is_whole_zip(path: Path) -> bool:
    """Return whether the contents of a ZIP file have its checksums."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):  # the middle of another file
        return False


def read_record(path: Path, *, strict: bool = True) -> Record | None:
    """Return the record of the first fetch of ``path``, or None.

    Raises:
        DownloadError: If the record cannot be read or is not a SHA-256; unless ``strict``, the latter counts as none.
    """
    file = record_path(path)
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            lines = opened.read(LONGEST_RECORD).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(error, file) from error
    words = " ".join(line for line in lines if not line.startswith("#")).split()
    if words and SHA256.fullmatch(words[0]):
        return Record(words[0], given=GIVEN in lines)
    if strict:
        fix = f"Remove it and {path.name}: the next use fetches the file again."
        raise DownloadError("expected a line '<SHA-256>  <file>'", file, fix)
    return None


def write_record(path: Path, record: Record) -> None:
    """Write the SHA-256 beside ``path``, in the form that sha256sum checks."""
    text = f"{record.sha256}  {path.name}\n" + (f"{GIVEN}\n" if record.given else "")
    try:
        with whole_file(record_path(path), force=True) as partial:
            partial.write_text(text, encoding="utf-8")
    except MrlspkError as error:
        raise DownloadError(error.what, error.where, OTHER_FOLDER) from error


def record_path(path: Path) -> Path:
    """Return the path of the record of ``path``."""
    return path.with_name(f"{path.name}.sha256")


def published_as(sha256: str, cache_dir: Path | None) -> PublishedModel | None:
    """Return the published model whose file has this SHA-256, by the registry or by the record of its download.

    There are no records without ``cache_dir``, the folder of fetched models.
    """
    known = ((model, model.sha256 or _recorded(model, cache_dir)) for model in list_models())
    return next((model for model, its_sha256 in known if its_sha256 == sha256), None)


def _recorded(model: PublishedModel, cache_dir: Path | None) -> str | None:
    record = read_record(cached_path(model, cache_dir), strict=False) if cache_dir is not None else None
    return None if record is None else record.sha256
