"""What a check finds; kept free of torch, so that the command line can name the choices without loading it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Decode(StrEnum):
    """How much audio a check decodes."""

    NONE = "none"
    SAMPLE = "sample"
    ALL = "all"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or that may be.

    Args:
        kind: A word for programs, such as ``unreadable``.
        severity: Whether the corpus can be used as it is.
        where: Utterance, speaker, folder, or line of a trial list.
        message: What was expected and what was found.
    """

    kind: str
    severity: Literal["error", "warning"]
    where: str
    message: str


def error(kind: str, where: str, message: str) -> Problem:
    """Return a problem that must be mended."""
    return Problem(kind, "error", where, message)


def warning(kind: str, where: str, message: str) -> Problem:
    """Return a problem that may be meant so."""
    return Problem(kind, "warning", where, message)
