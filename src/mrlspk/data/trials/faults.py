"""Lines that are not what their format expects: all of them are found, the first ten shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from mrlspk.errors import DataError

SHOWN = 10


@dataclass(frozen=True)
class BadLine:
    """A line at fault; ``where`` is ``path:number``."""

    where: str
    what: str


class BadLinesError(DataError):
    """Lines of a text file at fault.

    Args:
        lines: All of them, at least one.
        path: The file.
        n_lines: How many lines it has, blank ones left out.
        fix: How to mend one.
    """

    def __init__(self, lines: Sequence[BadLine], path: str, n_lines: int, fix: str) -> None:
        self.lines = tuple(lines)
        if len(lines) == 1:
            super().__init__(lines[0].what, lines[0].where, fix)
            return
        shown = [f"{line.where}: {line.what}" for line in lines[:SHOWN]]
        rest = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        super().__init__("\n".join([f"{len(lines)} of {n_lines} lines are at fault", *shown, *rest]), path, fix)
