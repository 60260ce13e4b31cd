"""Print data on stdout and everything else on stderr."""

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, RenderableType

from mrlspk import __version__
from mrlspk.cli.flag_names import error_text, with_flags
from mrlspk.cli.progress_bars import build_bars, short_name
from mrlspk.cli.streams import is_unicode
from mrlspk.cli.tables import FittedTable, wrap
from mrlspk.errors import MrlspkError, StoppedError
from mrlspk.json_schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mrlspk.files import OnProgress

UNBOUND = 100_000  # characters per line if it is no terminal: each row of a table is one line

# Control characters except tab and line feed, and lone surrogates; text from files can contain them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def show(command: str, payload: Mapping[str, Any], human: Iterable[RenderableType], *, as_json: bool) -> None:
    """Print a report on stdout: ``payload`` as one JSON document, or else ``human``, piece by piece."""
    if as_json:
        content, only_ascii = document(command, payload), not is_unicode(sys.stdout)
        text = json.dumps(content, indent=2, ensure_ascii=only_ascii, allow_nan=False)
        line(_escaped(text))
        return
    console = stdout_console()
    for piece in human:
        print_piece(console, piece)


def print_piece(console: Console, piece: RenderableType) -> None:
    """Print a table, or a text that is wrapped at spaces on a terminal."""
    if isinstance(piece, str):
        text = plain(piece)
        piece = "\n".join(wrap(text, console.width)) if console.file.isatty() else text
    console.print(piece, soft_wrap=True)


def show_rows(command: str, payload: Mapping[str, Any], name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a report as a JSON document whose last key ``name`` is a list; its rows are never in memory all at once."""
    only_ascii = not is_unicode(sys.stdout)
    head = json.dumps(document(command, payload), indent=2, ensure_ascii=only_ascii, allow_nan=False)
    sys.stdout.write(_escaped(head.removesuffix("\n}")) + f',\n  "{name}": [')
    for index, row in enumerate(rows):
        text = json.dumps(row, ensure_ascii=only_ascii, allow_nan=False)
        sys.stdout.write((",\n    " if index else "\n    ") + _escaped(text))
    sys.stdout.write("\n  ]\n}\n")


def _escaped(text: str) -> str:
    """Return JSON with control characters and lone surrogates escaped."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def document(command: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as the JSON document that ``show`` prints, with the warnings so far."""
    common = {"schema_version": SCHEMA_VERSION, "command": command, "mrlspk_version": __version__}
    return {**common, "warnings": warnings_so_far(), **payload}


def warnings_so_far() -> list[str]:
    """Return what was warned of since the command began."""
    handlers = logging.getLogger("mrlspk").handlers
    return [text for each in handlers if isinstance(each, WarningHandler) for text in each.warnings]


def table(
    title: str | None, columns: Iterable[str], rows: Iterable[Iterable[object]], *, dispensable: Sequence[str] = ()
) -> FittedTable:
    """Return a table whose first column has the names of the rows; `FittedTable` says what ``dispensable`` are."""
    cells = tuple(tuple(_one_line(str(cell)) for cell in row) for row in rows)
    return FittedTable(title, tuple(columns), cells, tuple(dispensable))


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """Return one line for each name and value, with the values aligned."""
    pairs = list(rows)
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in pairs)


def plain(text: str) -> str:
    r"""Return text with control characters and lone surrogates escaped, such as ``\x1b``."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def _one_line(text: str) -> str:
    r"""Return text of a cell, with a line feed or tab in a name as ``\n`` or ``\t``."""
    return plain(text).replace("\n", r"\n").replace("\t", r"\t")


def line(text: str) -> None:
    """Print one line of data on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print a note on stderr."""
    print_piece(stderr_console(), text)


def show_error(error: MrlspkError) -> None:
    """Print an error on stderr; a stop by a signal is shown without ``error:``."""
    text = error_text(error)
    note(text if isinstance(error, StoppedError) else f"error: {text}")


def stdout_console() -> Console:
    """Return a console on stdout without highlighting and markup."""
    return _console(sys.stdout)


def stderr_console() -> Console:
    """Return the same on stderr."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() or "COLUMNS" in os.environ else UNBOUND
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(description: str, *, quiet: bool, is_bytes: bool = False) -> Iterator["OnProgress | None"]:
    """Yield a function of (done, total) that draws a progress bar on stderr; None if quiet or without a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with build_bars(stderr_console()) as bars:
        task = bars.add_task(short_name(description), total=None, is_bytes=is_bytes)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def progress_steps(*descriptions: str, quiet: bool) -> Iterator["list[OnProgress | None]"]:
    """Yield a function for each step of a command, as `progress` does; a step's bar appears when it begins."""
    if quiet or not sys.stderr.isatty():
        yield [None] * len(descriptions)
        return
    with build_bars(stderr_console()) as bars:
        tasks = [bars.add_task(short_name(each), total=None, visible=False) for each in descriptions]

        def update(task: "TaskID") -> "OnProgress":
            return lambda done, total: bars.update(task, completed=done, total=total, visible=True)

        yield [update(task) for task in tasks]


class WarningHandler(logging.Handler):
    """Print the package's log records on stderr, and keep warnings for the JSON document."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record with its level, such as ``warning: …``; info has no prefix."""
        text = with_flags(record.getMessage())
        if record.levelno >= logging.WARNING:
            self.warnings.append(plain(text))
        note((f"{record.levelname.lower()}: " if record.levelno > logging.INFO else "") + text)


def percent(rate: float | None) -> str:
    """Return a rate as per cent, with two decimals; a dash for none."""
    return "–" if rate is None else f"{100 * rate:.2f}"


def cost(value: float | None) -> str:
    """Return a cost with four decimals, zero without a sign; a dash for none."""
    return "–" if value is None else f"{value:z.4f}"


def percent_interval(interval: Sequence[float] | None) -> str:
    """Return both ends of an interval as per cent; a dash for none."""
    return "–" if interval is None else f"{percent(interval[0])}–{percent(interval[1])}"


def rate_table(
    own_dim: int, own: float, rows: Mapping[str, Mapping[int, float]], *, dims: tuple[int, ...]
) -> FittedTable:
    """Return equal error rates by width: of the original embedding at full width in each column, then of ``rows``."""
    rates = {f"own embedding, {own_dim} values": dict.fromkeys(dims, own), **rows}
    cells = ((label, *(percent(found.get(dim)) for dim in dims)) for label, found in rates.items())
    return table(None, ("EER %", *map(str, dims)), cells)
