"""The errors that mrlspk raises on purpose, each with the exit code of its kind."""

from pathlib import Path


class MrlspkError(Exception):
    """What went wrong, where, and how to mend it.

    A parameter of the library that a text mentions stands in backticks, with its value if it has one:
    ```Give `audio_root` too.```, ```Resume with `resume=runs/a`.``` The command line shows its flag instead.

    Args:
        what: What was expected and what was found.
        where: The file (and line) or configuration key at fault.
        fix: What the user can do about it.
        parameter: The parameter at fault, such as ``allow_untrained_dim``; the command line shows its flag.

    Attributes:
        is_told: Whether another process of a run has the same error, and shows it.
    """

    exit_code = 1
    is_told = False

    def __init__(
        self,
        what: str,
        where: str | Path | None = None,
        fix: str | None = None,
        *,
        parameter: str | None = None,
    ) -> None:
        self.what, self.where, self.fix, self.parameter = what, where, fix, parameter
        super().__init__(what)

    def __str__(self) -> str:
        places = [str(place) for place in (self.parameter, self.where) if place is not None]
        text = ": ".join([", ".join(places), self.what]) if places else self.what
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
