"""Define the errors that mrlspk raises on purpose, and their exit codes."""

import re
from pathlib import Path

_JOINED_SLASHES = re.compile(r"((?:[a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+):/(?=[^/])", re.IGNORECASE)


class MrlspkError(Exception):
    """An error that says what is wrong, where, and how to fix it.

    Texts mention parameters of the library in backticks, with a value if they have one:
    ```Give `audio_root` too.```, ```Resume with `resume=runs/a`.``` The command line shows its flag instead.

    Args:
        what: What was expected and what was found.
        where: The file (and line) or configuration key at fault.
        fix: What the user can do about it.
        parameter: The parameter at fault, such as ``allow_untrained_dim``; the command line shows its flag.

    Attributes:
        is_shown_elsewhere: True if another process of the run shows the same error.
    """

    exit_code = 1
    is_shown_elsewhere = False

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
        places = [_shown(place) for place in (self.parameter, self.where) if place is not None]
        text = ": ".join([", ".join(places), self.what]) if places else self.what
        return f"{text}\n{self.fix}" if self.fix else text


def _shown(place: str | Path) -> str:
    """Return the text of a place; a URL gets back the slash that `Path` takes."""
    text = str(place)
    found = _JOINED_SLASHES.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else text


class ConfigError(MrlspkError):
    """A configuration that cannot be used."""


class CheckpointError(MrlspkError):
    """A file that is not a checkpoint, or a checkpoint that does not fit."""


class MetricError(MrlspkError):
    """Scores from which a metric cannot be computed."""


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
    """Work stopped by a signal after its state was saved; the exit code is that of a shell.

    Args:
        what: The progress so far.
        number: The signal.
        where: The file to resume from.
        fix: How to resume.
    """

    def __init__(self, what: str, number: int, *, where: str | Path | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.exit_code = 128 + number


class MissingDependencyError(MrlspkError):
    """A missing system library or optional package."""

    exit_code = 4


def shorten(text: str, length: int = 200) -> str:
    """Return ``text`` cut to ``length`` characters."""
    return text if len(text) <= length else f"{text[:length]}…"
