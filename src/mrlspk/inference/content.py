"""What an audio file holds, told by its SHA-256, and whether a file is still the one that was hashed."""

import hashlib
import stat
import time
from dataclasses import dataclass
from pathlib import Path

SETTLED_NS = 2_000_000_000  # clocks of file systems can be this coarse: a younger file may change and look the same


@dataclass(frozen=True)
class FileState:
    """What changes whenever a file does, once it has settled: its size and times."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a copy that keeps the old mtime changes this


@dataclass(frozen=True)
class Content:
    """What a file held at one time.

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
        """Return whether the file holds the same now; only one that had not settled is read again."""
        if file_state(self.path) != self.state:
            return False
        if self.settled:
            return True
        now = read_content(self.path)
        return now is not None and now.sha256 == self.sha256


def file_state(path: Path) -> FileState | None:
    """Return size and times of a file; None where there is none that can be looked at."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # whoever opens it says why
        return None
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns) if stat.S_ISREG(found.st_mode) else None


def read_content(path: Path) -> Content | None:
    """Return what a file holds; None where it cannot be read, or changes meanwhile."""
    before, now = file_state(path), time.time_ns()
    if before is None:
        return None
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
    except OSError:  # whoever decodes it says why
        return None
    settled = now - max(before.mtime_ns, before.ctime_ns) >= SETTLED_NS
    return Content(path, sha256, before, settled) if file_state(path) == before else None
