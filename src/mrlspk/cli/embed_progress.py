"""Show on a terminal how far `mrlspk embed` is: files, audio, speed and time left."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mrlspk.cli import output

if TYPE_CHECKING:
    from mrlspk.workflows.embed_run import EmbedProgress, OnEmbedProgress


@contextmanager
def embed_progress(*, quiet: bool) -> Iterator["OnEmbedProgress | None"]:
    """Yield what draws a progress bar on stderr; None if quiet or without a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.stderr_console(), transient=True) as bar:
        task = bar.add_task("", total=None)

        def draw(now: "EmbedProgress") -> None:
            bar.update(task, completed=now.files, total=now.total, description=speed(now))

        yield draw


def speed(now: "EmbedProgress") -> str:
    """Return how much audio was embedded, and how many times faster than it lasts."""
    times = f", {now.audio_seconds / now.seconds:.0f} times real time" if now.seconds > 0 else ""
    return f"{duration(now.audio_seconds)}{times}"


def duration(seconds: float) -> str:
    """Return a length of audio in hours, or under an hour in minutes, or under a minute in seconds."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit} of audio"
    return f"{seconds:.1f} s of audio"
