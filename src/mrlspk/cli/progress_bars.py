"""Draw progress bars that fit 80 columns: name, done of total, rate and time left, each as soon as it is known."""

from collections.abc import Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

BAR_WIDTH, LONGEST_NAME = 12, 24


def build_bars(console: Console) -> Progress:
    """Return bars that are gone when the work is done; a terminal that cannot move its cursor shows none.

    A task has the fields ``is_bytes``, ``rate`` (a text in place of its own rate) and ``remark`` (a text at its end),
    each optional.
    """
    columns = TextColumn("{task.description}"), BarColumn(BAR_WIDTH), Figures()
    return Progress(*columns, console=console, transient=True, disable=console.is_dumb_terminal)


def short_name(name: str) -> str:
    """Return the name of a bar: the last part of a long path or URL, and the end of a long last part."""
    last = name if len(name) <= LONGEST_NAME else name.rstrip("/").rpartition("/")[2]
    return last if len(last) <= LONGEST_NAME else "…" + last[1 - LONGEST_NAME :]


class Figures(ProgressColumn):
    """What is known of a task, in words and numbers."""

    def render(self, task: Task) -> Text:
        """Return the figures of a task."""
        return Text("  ".join(_figures(task)), no_wrap=True)


def _figures(task: Task) -> Iterator[str]:
    is_bytes = task.fields.get("is_bytes", False)
    if task.total is not None:
        yield f"{decimal(int(task.completed))}/{decimal(int(task.total))}" if is_bytes else _count(task)
    if rate := task.fields.get("rate"):
        yield rate
    elif speed := task.speed:
        yield f"{decimal(int(speed)) if is_bytes else f'{speed:,.0f}' if speed >= 10 else f'{speed:.1f}'}/s"
    if (left := task.time_remaining) is not None and not task.finished:
        yield f"{clock(left)} left"
    if remark := task.fields.get("remark"):
        yield remark


def _count(task: Task) -> str:
    return f"{task.completed:,.0f}/{task.total:,.0f}"


def clock(seconds: float) -> str:
    """Return a time as 1:02:03, or under an hour as 2:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
