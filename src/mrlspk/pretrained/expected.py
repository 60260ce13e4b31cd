"""What a fetched file must be, and who says so."""

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mrlspk.pretrained.records import Record
from mrlspk.pretrained.registry import PublishedModel

ZIP_BEGINS = b"PK\x03\x04"  # as every checkpoint of torch.save does

logger = logging.getLogger("mrlspk.pretrained")


@dataclass(frozen=True)
class Expected:
    """What a file must be; of a published model, where nobody has said, at least no error page and no half a file.

    Attributes:
        sha256: None where nobody has said.
        given: Whether the user has, now or when the file first came.
        recorded: Whether it is what was recorded when the file first came.
        model: The published model that the file was asked for as, if it was.
    """

    sha256: str | None
    given: bool
    recorded: bool
    model: PublishedModel | None

    def problem(self, path: Path, sha256: str) -> str | None:
        """Return how a file, whose SHA-256 is ``sha256``, is not the expected one; None if it is."""
        if self.sha256 not in {None, sha256}:
            return f"expected SHA-256 {self.sha256}, got {sha256}"
        if self.model is None or self.given or self.model.sha256 is not None:
            return None
        size = path.stat().st_size
        if self.model.bytes not in {None, size}:
            return f"expected {self.model.bytes:,} bytes, got {size:,}"
        found = _what_instead(path)
        return f"expected a checkpoint, got {found}" if found else None

    def remedy(self, sha256: str) -> str:
        """Return what to do about a file that came and was not kept, whose SHA-256 is ``sha256``."""
        if self.sha256 is None:
            return (
                "It was not kept: it may be a page of the server, or have been cut short. Try again, or set "
                f"MRLSPK_MIRROR. If it is what you want, give --sha256 {sha256}."
            )
        forget = "--force, which forgets what was recorded at the first fetch, or " if self.recorded else ""
        return (
            "The file is not the one that was expected, and was not kept. If the published file has changed and you "
            f"trust it, give {forget}--sha256 {sha256}."
        )

    def to_record(self, sha256: str) -> Record:
        """Return what to record of a file that is the expected one."""
        return Record(sha256, given=self.given and (self.model is None or self.model.sha256 != sha256))

    def warn_of_override(self) -> None:
        """Tell that a file is used which is not the one of the registry, where the user has asked for that."""
        if self.given and self.model is not None and self.model.sha256 not in {None, self.sha256}:
            logger.warning(
                "%s: using the file with SHA-256 %s, as once given with --sha256; the published one has %s "
                "(--force without --sha256 goes back to it)",
                self.model.name,
                self.sha256,
                self.model.sha256,
            )


def _what_instead(path: Path) -> str | None:
    """Return what a file plainly is in place of a checkpoint, as servers that fail in silence send it; else None."""
    with path.open("rb") as file:
        beginning = file.read(512)
    if not beginning:
        return "an empty file"
    if beginning.lstrip()[:1] in (b"<", b"{", b"["):
        return "a page of text"
    if beginning.startswith(ZIP_BEGINS) and not zipfile.is_zipfile(path):
        return f"{path.stat().st_size:,} bytes of one that was cut short"
    return None


def expect(*, given: str | None, record: Record | None, model: PublishedModel | None) -> Expected:
    """Return what a file must be: what the user gives or once gave, else what the registry knows, else the record."""
    known = model.sha256 if model is not None else None
    if given is not None:
        return Expected(given, given=True, recorded=False, model=model)
    if record is not None and (record.given or known is None):
        return Expected(record.sha256, given=record.given, recorded=True, model=model)
    return Expected(known, given=False, recorded=False, model=model)
