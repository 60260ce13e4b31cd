"""Identify the content of an audio file by its SHA-256, and tell whether the file still has it."""

import hashlib
import stat
import time
from dataclasses import dataclass
from pathlib import Path

SETTLED_NS = 2_000_000_000  # clocks of file systems can be this coarse: a younger file may change and look the same


@dataclass(frozen=True)
class FileState:
    """Size and times of a file, which change whenever a settled file does."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a copy that keeps the old mtime changes this


@dataclass(frozen=True)
class FileContent:
    """The content of a file at one time.

    Attributes:
        path: Of the file.
        sha256: Of its bytes.
        state: When they were read.
        settled: Whether a later change would show in the state.
    """

    path: Path
    sha256: bytes
    state: FileState
    settled: bool

    def still_holds(self) -> bool:
        """Return whether the file has the same content now; only an unsettled file is read again."""
        if file_state(self.path) != self.state:
            return False
        if self.settled:
            return True
        now = read_content(self.path)
        return now is not None and now.sha256 == self.sha256


def file_state(path: Path) -> FileState | None:
    """Return size and times of a regular file; None if there is none that can be looked at."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # opening it reports the reason
        return None
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns) if stat.S_ISREG(found.st_mode) else None


def read_content(path: Path) -> FileContent | None:
    """Return the content of a file; None if it cannot be read, or changes meanwhile."""
    before, now = file_state(path), time.time_ns()
    if before is None:
        return None
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
    except OSError:  # decoding it reports the reason
        return None
    settled = now - max(before.mtime_ns, before.ctime_ns) >= SETTLED_NS
    return FileContent(path, sha256, before, settled) if file_state(path) == before else None
