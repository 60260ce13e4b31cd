"""Lay out tables so that no name, number or word is broken at any width of the terminal.

A table that is too wide first wraps its text columns at spaces, and then leaves out the columns that it may. Then its
names stand on lines of their own, above the other cells, or its columns are divided into blocks that repeat the names.
If that is not enough, each row becomes a list of names and values. A name that is longer than a line is written whole,
for the terminal to wrap.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP, INDENT = "  ", "  "
READABLE = 24  # characters that a column of sentences keeps
type Line = tuple[str, bool]  # and whether it is part of a header
COMMAND = re.compile(r"(To [^:`]+: )?mrlspk ")
FACT = re.compile(r" *\S+(?: \S+)*? {2,}(?=\S)|- |  +")
SPACE = re.compile(r" (?=(?:[^`]*`[^`]*`)*[^`]*$)")  # outside of backticks
NUMBER = re.compile(r"[+\-−]?\.?\d")
WORD = re.compile(r"[^\W\d_]{2,}")
WORDS = 4  # with as many a cell is a sentence


@dataclass(frozen=True)
class Column:
    """A header and its cells, one for each row."""

    header: str
    cells: tuple[str, ...]
    is_name: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers: these are aligned right, and not wrapped."""
        has_number = any(NUMBER.match(cell) for cell in self.cells)
        return not self.is_name and has_number and not any(len(WORD.findall(cell)) >= WORDS for cell in self.cells)

    @property
    def natural(self) -> int:
        """The width of its longest line."""
        return max(cell_len(line) for text in (self.header, *self.cells) for line in text.split("\n"))

    @property
    def least(self) -> int:
        """The width that it needs to be read: headers and sentences wrap, names and numbers do not."""
        header = _longest(self.header.split())
        if self.is_name or self.is_number:
            return max(header, _longest(line for cell in self.cells for line in cell.split("\n")))
        word = _longest(word for cell in self.cells for word in cell.split())
        return max(header, word, min(READABLE, _longest(self.cells)))

    def padded(self, text: str, width: int) -> str:
        """Return a line of a cell, aligned."""
        space = " " * (width - cell_len(text))
        return space + text if self.is_number else text + space


@dataclass(frozen=True)
class FittedTable:
    """A table whose first column has the names of its rows; printed, it fits the console.

    Attributes:
        title: Above it.
        headers: Of the columns.
        rows: Their cells.
        dispensable: Headers of columns that are left out, from the last on, if the others then fit; a line says so.
    """

    title: str | None
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    dispensable: tuple[str, ...] = ()
    columns: tuple[Column, ...] = field(init=False)

    def __post_init__(self) -> None:
        cells = list(zip(*self.rows, strict=True)) or [()] * len(self.headers)
        columns = (
            Column(header, column, is_name=not i)
            for i, (header, column) in enumerate(zip(self.headers, cells, strict=True))
        )
        object.__setattr__(self, "columns", tuple(columns))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines; the title and the headers stand out on a terminal."""
        if self.title is not None:
            yield Text(self.title, style="italic")
        for text, is_header in self.lines(options.max_width):
            yield Text(text, style="bold" if is_header else "")

    def lines(self, width: int) -> list[Line]:
        """Return its lines without the title."""
        name, *others = self.columns
        beside = fit(self.columns, width)
        if beside is not None:
            return _grid(self.columns, beside)
        for n in range(1, len(self.dispensable) + 1):
            left_out = self.dispensable[-n:]
            kept = [column for column in self.columns if column.header not in left_out]
            if (beside := fit(kept, width)) is not None:
                remark = f"Not shown for want of space: {', '.join(left_out)}."
                return [*_grid(kept, beside), *((line, False) for line in wrap(remark, width))]
        below = fit(others, width - len(INDENT))
        blocks = _blocks(name, others, width)
        if below is not None and (blocks is None or name.natural > width // 3):
            return list(_names_first(name, others, below))
        if blocks is not None:
            return [line for block in blocks for line in [("", False), *_grid(block, fit(block, width) or [])]][1:]
        return list(_records(self.columns, width))


def fit(columns: Sequence[Column], width: int) -> list[int] | None:
    """Return the width of each column if they fit beside each other, the widest shrunk first; None if they do not."""
    widths, least = [column.natural for column in columns], [column.least for column in columns]
    room = width - len(GAP) * (len(columns) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def wrap(text: str, width: int) -> list[str]:
    """Return the lines of a text, broken at spaces only; a word that is longer than a line has one of its own.

    What stands between backticks stays together, and a line that is a command or a path stays whole, to be copied. The
    value of a line ``name  value`` stays beside its name.
    """
    return [line for paragraph in text.split("\n") for line in _wrap_line(paragraph, width)]


def _wrap_line(text: str, width: int) -> Iterator[str]:
    if cell_len(text) <= width or COMMAND.match(text):
        yield text
        return
    margin = found[0] if (found := FACT.match(text)) else ""
    value = text.removeprefix(margin)
    words = [value] if value.startswith("/") else SPACE.split(value)
    line, hanging = margin, " " * cell_len(margin)
    if margin.strip() and cell_len(margin) + _longest(words) > width:  # the value goes below its name
        yield margin.rstrip()
        margin = line = hanging = INDENT
    for word in words:
        space = "" if not line or line.endswith(" ") else " "
        if line.strip() and line != margin and cell_len(line + space + word) > width:
            yield line.rstrip()
            line, space = hanging, ""
        line += space + word
    yield line


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _grid(columns: Sequence[Column], widths: Sequence[int]) -> list[Line]:
    rows = zip(*(column.cells for column in columns), strict=True)
    return [*_headers(columns, widths), *((line, False) for cells in rows for line in _row(columns, widths, cells))]


def _headers(columns: Sequence[Column], widths: Sequence[int]) -> Iterator[Line]:
    """Yield the headers, which end on the same line."""
    wrapped = [wrap(column.header, width) for column, width in zip(columns, widths, strict=True)]
    height = max(map(len, wrapped))
    if any(column.header for column in columns):
        aligned = [[*[""] * (height - len(lines)), *lines] for lines in wrapped]
        yield from ((line, True) for line in _side_by_side(columns, widths, aligned))


def _row(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> Iterator[str]:
    wrapped = [
        cell.split("\n") if column.is_name else wrap(cell, width)
        for column, cell, width in zip(columns, cells, widths, strict=True)
    ]
    return _side_by_side(columns, widths, wrapped)


def _side_by_side(columns: Sequence[Column], widths: Sequence[int], parts: Sequence[Sequence[str]]) -> Iterator[str]:
    for i in range(max(map(len, parts))):
        cells = (
            column.padded(lines[i] if i < len(lines) else "", width)
            for column, width, lines in zip(columns, widths, parts, strict=True)
        )
        yield GAP.join(cells).rstrip()


def _names_first(name: Column, others: Sequence[Column], widths: Sequence[int]) -> Iterator[Line]:
    """Yield each row with its name on a line of its own, and the other cells below it."""
    yield name.header, True
    yield from ((INDENT + line, True) for line, _ in _headers(others, widths))
    for cell, *cells in zip(name.cells, *(column.cells for column in others), strict=True):
        yield cell, False
        yield from ((INDENT + line, False) for line in _row(others, widths, cells))


def _blocks(name: Column, others: Sequence[Column], width: int) -> list[list[Column]] | None:
    """Return the columns in groups that fit, each after the names; None if one of them does not fit."""
    blocks: list[list[Column]] = [[name]]
    for column in others:
        if fit([*blocks[-1], column], width) is None:
            blocks.append([name])
        if fit([*blocks[-1], column], width) is None:
            return None
        blocks[-1].append(column)
    return [block for block in blocks if len(block) > 1]


def _records(columns: Sequence[Column], width: int) -> Iterator[Line]:
    """Yield each row as its name and, below it, a line for every header and cell."""
    _, *others = columns
    margin = _longest(column.header for column in others)
    for name, *cells in zip(*(column.cells for column in columns), strict=True):
        yield name, False
        for column, cell in zip(others, cells, strict=True):
            first, *rest = wrap(cell, width - len(INDENT) - margin - len(GAP))
            yield f"{INDENT}{column.header}{' ' * (margin - cell_len(column.header))}{GAP}{first}".rstrip(), False
            yield from ((f"{INDENT}{' ' * margin}{GAP}{line}", False) for line in rest)


def flowing_row(cells: Sequence[str], widths: Sequence[int], width: int) -> Iterator[str]:
    """Yield the line of a row that is printed before the rows below it are known; one that is too long is divided.

    Args:
        cells: The name of the row, aligned left, and numbers.
        widths: Of the columns; further cells are as wide as they are.
        width: Of the lines.
    """
    name, *others = cells
    line = name + " " * (widths[0] - cell_len(name))
    for i, cell in enumerate(others, start=1):
        aligned = cell.rjust(widths[i]) if i < len(widths) else cell
        if cell_len(line + GAP + aligned) > width:
            yield line.rstrip()
            line = INDENT
        line += GAP + aligned
    yield line.rstrip()
