"""The errors that mrlspk raises on purpose, each with the exit code of its kind."""

from pathlib import Path


class MrlspkError(Exception):
    """What went wrong, where, and how to mend it.

    Args:
        what: What was expected and what was found.
        where: The file (and line), flag or configuration key at fault.
        fix: What the user can do about it.

    Attributes:
        is_told: Whether another process of a run has the same error, and shows it.
    """

    exit_code = 1
    is_told = False

    def __init__(self, what: str, where: str | Path | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where is not None else self.what
        return f"{text}\n{self.fix}" if self.fix else text


class ConfigError(MrlspkError):
    """A configuration that cannot be used."""


class CheckpointError(MrlspkError):
    """A checkpoint that is not one, or that does not fit."""


class MetricError(MrlspkError):
    """Scores from which a figure cannot be computed."""


class UsageError(MrlspkError):
    """A request that the command line or the model cannot meet, such as a width that the model does not have."""

    exit_code = 2


class DataError(MrlspkError):
    """Audio, a corpus or a trial list at fault."""

    exit_code = 3


class DownloadError(MrlspkError):
    """A file that could not be fetched or verified."""

    exit_code = 4


class StoppedError(MrlspkError):
    """Work that a signal has ended, after what was done was saved; its exit code is that of a shell.

    Args:
        what: How far it was.
        number: The signal.
        where: What goes on from there.
        fix: How it goes on.
    """

    def __init__(self, what: str, number: int, *, where: str | Path | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.exit_code = 128 + number


class MissingDependencyError(MrlspkError):
    """Something outside that is missing: a library of the system or an optional package."""

    exit_code = 4
