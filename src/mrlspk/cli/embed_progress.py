"""Show on a terminal how far `mrlspk embed` is: files, speed and time left."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mrlspk.cli import output
from mrlspk.cli.progress_bars import build_bars

if TYPE_CHECKING:
    from mrlspk.workflows.embed_run import EmbedProgress, OnEmbedProgress


@contextmanager
def embed_progress(*, quiet: bool) -> Iterator["OnEmbedProgress | None"]:
    """Yield what draws a progress bar on stderr; None if quiet or without a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with build_bars(output.stderr_console()) as bars:
        task = bars.add_task("embedding", total=None)

        def draw(now: "EmbedProgress") -> None:
            bars.update(task, completed=now.files, total=now.total, rate=speed(now))

        yield draw


def speed(now: "EmbedProgress") -> str:
    """Return how many times faster audio is embedded than it lasts; nothing before the first file is."""
    known = now.seconds > 0 and now.audio_seconds > 0
    return f"{now.audio_seconds / now.seconds:,.0f} times real time" if known else ""


def duration(seconds: float) -> str:
    """Return a length of audio in hours, or under an hour in minutes, or under a minute in seconds."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit} of audio"
    return f"{seconds:.1f} s of audio"
