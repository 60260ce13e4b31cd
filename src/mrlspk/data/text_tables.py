"""Read text files and tables that users bring, and report their bad lines."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DataError
from mrlspk.reading import LARGEST_LIST, as_text, read_bytes, reading

DELIMITERS = "\t", ",", ";"


@dataclass(frozen=True)
class TextFile:
    """A text file; ``sha256`` is of its bytes, in hex."""

    path: Path
    text: str
    sha256: str

    @property
    def lines(self) -> list[str]:
        """The lines; only line feeds and carriage returns end one, not the other breaks of Unicode."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


@dataclass(frozen=True)
class TextTable:
    """Rows of a table, and the number of the last line of each."""

    rows: list[list[str]]
    numbers: list[int]

    def columns(self) -> list[tuple[str, ...]]:
        """Return the columns with stripped cells; all rows must have the same number of cells."""
        return [tuple(map(str.strip, column)) for column in zip(*self.rows, strict=True)]


def read_text_file(path: Path, expected: str) -> TextFile:
    """Return the text of a file without the byte order mark that Windows writes.

    Args:
        path: The file.
        expected: What the file should hold, for messages.

    Raises:
        DataError: If it cannot be read, is not UTF-8 or is too large.
    """
    fix = f"Save it as UTF-8 text: {expected}."
    with reading(path, DataError, "Check the path."):
        path.stat()
    content = read_bytes(path, DataError, fix, most_bytes=LARGEST_LIST)
    return TextFile(path, as_text(content, path, DataError, fix), hashlib.sha256(content).hexdigest())


def delimiter_of(line: str) -> str | None:
    """Return the delimiter in the first line of a table; None if none of `DELIMITERS` is in it."""
    return next((delimiter for delimiter in DELIMITERS if delimiter in line), None)


def split_table(file: TextFile, delimiter: str) -> TextTable:
    """Return the rows of a table, without blank ones.

    Raises:
        DataError: If a quoted cell cannot be read, or all cells are empty.
    """
    reader = csv.reader(io.StringIO(file.text, newline=""), delimiter=delimiter, skipinitialspace=True)
    table = TextTable([], [])
    try:
        for cells in reader:
            if any(cells):
                table.rows.append(cells)
                table.numbers.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"expected a table, got an unreadable line ({error})", f"{file.path}:{reader.line_num}"
        ) from error
    if not table.rows:
        raise DataError("expected a table, got empty cells", file.path)
    return table


def column_name(text: str) -> str:
    """Return the name of a column in lower case, blanks and hyphens as underscores, none at the ends."""
    return "_".join(text.lower().replace("-", " ").split())


def find_column(header: list[str], names: tuple[str, ...]) -> int | None:
    """Return the index in ``header`` of the first of ``names`` that it has; None if it has none."""
    return next((header.index(name) for name in names if name in header), None)


SHOWN = 10


@dataclass(frozen=True)
class BadLine:
    """A line of a text file with an error; ``where`` is ``path:number``."""

    where: str
    what: str


class BadLinesError(DataError):
    """Lines of a text file with errors; the message shows the first ten.

    Args:
        lines: All bad lines, at least one.
        path: The file.
        n_lines: Number of lines in the file, without blank ones.
        fix: How to fix a line.
    """

    def __init__(self, lines: Sequence[BadLine], path: str, n_lines: int, fix: str) -> None:
        self.lines = tuple(lines)
        if len(lines) == 1:
            super().__init__(lines[0].what, lines[0].where, fix)
            return
        shown = [f"{line.where}: {line.what}" for line in lines[:SHOWN]]
        rest = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        super().__init__("\n".join([f"{len(lines)} of {n_lines} lines have errors", *shown, *rest]), path, fix)
