"""Identify encoded audio by its SHA-256, and tell whether a source still has the same content."""

import hashlib
import stat
import time
from dataclasses import dataclass
from io import BufferedReader
from typing import cast

from mrlspk.data.audio.source import AudioSource

SETTLED_NS = 2_000_000_000  # clocks of file systems can be this coarse: a younger file may change and look the same


@dataclass(frozen=True)
class FileState:
    """Size and times of a file, which change whenever a settled file does."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a copy that keeps the old mtime changes this


@dataclass(frozen=True)
class AudioContent:
    """The encoded audio of a source at one time.

    Attributes:
        source: Of the audio.
        sha256: Of its bytes.
        state: Of its file when they were read; None if it is not a file of its own.
        settled: Whether a later change would show in the state.
    """

    source: AudioSource
    sha256: bytes
    state: FileState | None
    settled: bool

    def still_holds(self) -> bool:
        """Return whether the source has the same content now; only without a settled state is it read again."""
        if file_state(self.source) != self.state:
            return False
        if self.settled:
            return True
        now = read_content(self.source)
        return now is not None and now.sha256 == self.sha256


def file_state(source: AudioSource) -> FileState | None:
    """Return size and times of the file of a source; None if there is no regular file that can be looked at."""
    if source.path is None:
        return None
    try:
        found = source.path.stat()
    except (OSError, ValueError):  # opening it reports the reason
        return None
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns) if stat.S_ISREG(found.st_mode) else None


def read_content(source: AudioSource) -> AudioContent | None:
    """Return the content of a source; None if it cannot be read, or changes meanwhile."""
    before, now = file_state(source), time.time_ns()
    if before is None and source.path is not None:
        return None
    try:
        with source.open() as file:
            sha256 = hashlib.file_digest(cast(BufferedReader, file), "sha256").digest()
    except OSError:  # decoding it reports the reason
        return None
    settled = before is not None and now - max(before.mtime_ns, before.ctime_ns) >= SETTLED_NS
    return AudioContent(source, sha256, before, settled) if file_state(source) == before else None
