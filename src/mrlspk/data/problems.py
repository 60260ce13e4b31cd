"""Describe a problem of a corpus: its kind, its severity and where it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrlspk.errors import DataError


@dataclass(frozen=True)
class Problem:
    """A problem in a corpus.

    Args:
        kind: A word for programs, such as ``unreadable``.
        severity: ``error`` if the corpus cannot be used as it is.
        where: Utterance, speaker, folder, or line of a trial list.
        message: The expectation and the finding.
    """

    kind: str
    severity: Literal["error", "warning"]
    where: str
    message: str


def error(kind: str, where: str, message: str) -> Problem:
    """Return a problem that must be fixed."""
    return Problem(kind, "error", where, message)


def warning(kind: str, where: str, message: str) -> Problem:
    """Return a problem that may be intended."""
    return Problem(kind, "warning", where, message)


def further_errors(count: int) -> str:
    """Return the end of a message that names one error of several."""
    return f" (and {count:,} more {'error' if count == 1 else 'errors'})" if count else ""


def refuse_errors(problems: Sequence[Problem], corpus: Path) -> None:
    """Refuse a corpus that cannot be used as it is.

    Raises:
        DataError: If one of the problems is an error; it names the first.
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        more = further_errors(len(errors) - 1)
        fix = "Mend it, or move it out of the corpus; `mrlspk data check` lists all errors."
        raise DataError(f"{errors[0].message}{more}", corpus / errors[0].where, fix)
