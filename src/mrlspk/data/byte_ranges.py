"""Read byte ranges of archives, each opened once in a process, on this machine or at a URL."""

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Buffer
from typing import BinaryIO

from mrlspk.data.remote import as_url, is_url, read_range
from mrlspk.data.tar_header import BLOCK, is_header_of
from mrlspk.errors import DataError

MOST_OPEN = 64  # archives on this machine
SMALL_BYTES = 1 << 16  # read at once: libsndfile and FFmpeg would ask for most of it
BLOCK_BYTES = 1 << 15
KEPT_BYTES = 64 << 20  # of what came from URLs last: a file is opened to recognise it, and again to decode it


def open_range(archive: str, start: int, length: int) -> BinaryIO:
    """Open a range of a file or URL for reading; one of a URL is fetched whole.

    Raises:
        OSError: If the file cannot be read, or ends too early.
        DataError: If a URL cannot be read.
        DownloadError: If its server cannot be reached.
    """
    if url := as_url(archive):
        return io.BytesIO(_fetched.read(url, start, length))
    opened = _archives.open(archive)
    if length <= SMALL_BYTES:
        return io.BytesIO(opened.read(start, length))
    return io.BufferedReader(_Part(opened, start, length), BLOCK_BYTES)


def open_member(archive: str, start: int, length: int, name: str) -> BinaryIO:
    """Open a member of a tar, as `open_range` does, if its header is in front of it.

    Raises:
        OSError: As of `open_range`.
        DataError: As of `open_range`, or if the tar has something else at this place.
        DownloadError: As of `open_range`.
    """
    begin = max(start - BLOCK, 0)
    file: BinaryIO
    if is_url(archive):  # all of it at once
        content = open_range(archive, begin, start - begin + length).read()
        header, file = content[: start - begin], io.BytesIO(content[start - begin :])
    else:
        header, file = open_range(archive, begin, start - begin).read(), open_range(archive, start, length)
    if not is_header_of(header, name, length):
        what = f"expected {length:,} bytes at {start:,}, as the index says, got another member or none"
        fix = "Copy the tar again that belongs to the index, or pack or scan again."
        raise DataError(what, f"{archive}:{name}", fix)
    return file


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


class _Archive:
    """An open file; it is closed with the last reference to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self.state = _state(os.fstat(self.descriptor))

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

    def read(self, start: int, length: int) -> bytes:
        """Return ``length`` bytes.

        Raises:
            OSError: If the file is shorter.
        """
        found = os.pread(self.descriptor, length, start)
        if len(found) != length:
            raise OSError(f"cut short: expected {length} bytes at {start}, got {len(found)}")
        return found


class _Part(io.RawIOBase):
    """A part of an archive as a file of its own; parts of one archive can be read at once."""

    def __init__(self, archive: _Archive, start: int, length: int) -> None:
        self._archive, self._start, self._length, self._position = archive, start, length, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the part."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Read into a buffer as much as it takes.

        Raises:
            OSError: If the archive ends before the part does.
        """
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(self._length - self._position, 0))
        if wanted:
            view[:wanted] = self._archive.read(self._start + self._position, wanted)
        self._position += wanted
        return wanted


class _Archives:
    """The archives of this machine that were read last."""

    def __init__(self) -> None:
        self._lock, self._open = threading.Lock(), OrderedDict[str, _Archive]()

    def open(self, path: str) -> _Archive:
        """Return an open archive.

        Raises:
            OSError: If it cannot be opened.
        """
        state = _state(os.stat(path))  # noqa: PTH116 - for each crop: one that was packed again is opened again
        with self._lock:
            archive = self._open.pop(path, None)
            if archive is None or archive.state != state:
                archive = _Archive(path)
            self._open[path] = archive
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return archive


class _Fetched:
    """The ranges that came from URLs last."""

    def __init__(self) -> None:
        self._lock, self._n_bytes = threading.Lock(), 0
        self._ranges = OrderedDict[tuple[str, int, int], bytes]()

    def read(self, url: str, start: int, length: int) -> bytes:
        """Return a range, fetched unless it was among the last ones."""
        key = url, start, length
        with self._lock:
            if key in self._ranges:
                self._ranges.move_to_end(key)
                return self._ranges[key]
        content = read_range(url, start, length)
        with self._lock:
            if key not in self._ranges:
                self._ranges[key] = content
                self._n_bytes += length
            while self._n_bytes > KEPT_BYTES and len(self._ranges) > 1:
                self._n_bytes -= len(self._ranges.popitem(last=False)[1])
        return content


_archives, _fetched = _Archives(), _Fetched()


def _begin_child() -> None:
    """Open archives again in a process that forked: a lock may be held by a thread that it does not have."""
    global _archives, _fetched  # noqa: PLW0603
    _archives, _fetched = _Archives(), _Fetched()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
