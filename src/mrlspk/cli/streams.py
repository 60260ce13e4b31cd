"""Guard the standard streams: a full disk, a closed pipe, a closed stream, an encoding that lacks characters."""

import codecs
import errno
import io
import os
import re
import select
import sys
from collections.abc import Buffer
from typing import TextIO

from mrlspk.errors import MrlspkError

PIPE_CLOSED = 141  # what a shell reports of a program that SIGPIPE ended
SUBSTITUTES = {"…": "...", "–": "-", "−": "-", "×": "x", "█": "#"}
ON_UNENCODABLE = "mrlspk.substitute"
SIZES = "COLUMNS", "LINES"  # of the terminal
A_SIZE = re.compile(r"[2-9][0-9]|[1-9][0-9]{2,4}", re.ASCII)  # tables lose text in fewer than 20 columns


class OutputError(MrlspkError):
    """Stdout that cannot be written."""

    def __init__(self, cause: OSError) -> None:
        what = "is closed" if cause.errno == errno.EBADF else f"cannot be written: {cause.strerror}"
        super().__init__(what, "stdout", "Redirect it to a file or a terminal that can be written.")


def guard() -> None:
    """Replace stdout and stderr by guarded streams, read stdin as UTF-8, and ignore sizes that nothing fits in."""
    for number in range(3):
        _reserve(number)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors=sys.stdin.errors)
    sys.stdout = _text(_Stdout(1), sys.stdout)
    sys.stderr = _text(_Stderr(2), sys.stderr)
    for name in SIZES:
        if not A_SIZE.fullmatch(os.environ.get(name, "")):
            os.environ.pop(name, None)


def is_unicode(stream: TextIO) -> bool:
    """Return whether a stream can hold every character."""
    return codecs.lookup(stream.encoding or "utf-8").name.startswith("utf")


def _substitute(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""Replace characters that a stream cannot hold by a look-alike, or by an escape such as ``\xe9``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(SUBSTITUTES.get(each, ascii(each)[1:-1]) for each in lost), error.end


codecs.register_error(ON_UNENCODABLE, _substitute)


def _reserve(number: int) -> None:
    """Open a closed standard stream so that its use fails; otherwise the next file would get its number."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
        os.set_inheritable(opened, True)  # noqa: FBT003 - takes no keyword


def _text(raw: "_Stream", like: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8" if like is None else like.encoding,
        errors=ON_UNENCODABLE,
        line_buffering=isinstance(raw, _Stderr) or raw.isatty(),
    )


class _Stream(io.RawIOBase):
    """The bytes of an open standard stream.

    Args:
        number: File descriptor.
    """

    def __init__(self, number: int) -> None:
        self._file = os.fdopen(number, "wb", buffering=0, closefd=False)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._file.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Write some of the data, and wait for a pipe that does not."""
        while (written := self._file.write(data)) is None:
            select.select([], [self._file], [])
        return written


class _Stdout(_Stream):
    """Stdout: the first write that fails ends the command, after which the rest is dropped."""

    _has_failed = False

    def write(self, data: Buffer, /) -> int:
        """Write some of the data.

        Raises:
            SystemExit: If the reader of a pipe has closed it.
            OutputError: If it cannot be written for another reason.
        """
        if self._has_failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError as error:
            self._has_failed = True
            raise SystemExit(PIPE_CLOSED) from error
        except OSError as error:
            self._has_failed = True
            raise OutputError(error) from error


class _Stderr(_Stream):
    """Stderr: messages that cannot be written are lost, and the work goes on."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the data, or drop it."""
        try:
            return super().write(data)
        except OSError:  # there is nowhere left to report it
            return memoryview(data).nbytes
