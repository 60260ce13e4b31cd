"""Bars on a terminal of 80 columns: figures as soon as they are known, and nothing before."""

import io

import pytest
from rich.console import Console

from mrlspk.cli.progress_bars import build_bars, clock, short_name


@pytest.fixture
def drawn():
    """Return what a bar shows, of a task that began a minute ago."""

    def draw(name, done, total, **fields):
        console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
        bars = build_bars(console)
        now = [0.0]
        bars.get_time = lambda: now[0]
        task = bars.add_task(name, total=None, **fields)
        now[0] = 60.0
        if done is not None:
            bars.update(task, completed=1, total=total)
            now[0] = 61.0
            bars.update(task, completed=done, total=total)
        console.print(bars.make_tasks_table(bars.tasks))
        return console.file.getvalue().rstrip()

    return draw


def test_bar_fits_80_columns_with_name_counts_rate_and_time_left(drawn):
    line = drawn("epoch 100/120", 11, 4_000_001, remark="loss 12.345")
    assert len(line) <= 80
    assert line.endswith("11/4,000,001  10/s  111:06:39 left  loss 12.345")  # 3,999,990 at 10 a second
    longest = drawn(short_name("storing crops of a very long name"), 11, 4_000_001)
    assert len(longest) <= 80
    assert longest.endswith(" left")


def test_bar_without_values_shows_the_name_alone(drawn):
    assert drawn("embedding", None, None).split("━")[0].strip() == "embedding"
    assert not any(each in drawn("embedding", None, None) for each in ("/", "?", "-:--", "0:00"))


def test_bar_of_a_download_counts_bytes(drawn):
    assert drawn("model", 2_000_001, 4_000_001, is_bytes=True).endswith("2.0 MB/4.0 MB  2.0 MB/s  0:01 left")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("reading audio", "reading audio"),
        ("https://example.org/models/redimnet.pt", "redimnet.pt"),
        ("a" * 40, "…" + "a" * 23),
    ],
)
def test_long_names_are_shortened_to_their_last_part(name, shown):
    assert short_name(name) == shown


def test_times_have_hours_only_if_they_last_so_long():
    assert (clock(5), clock(65), clock(3725)) == ("0:05", "1:05", "1:02:05")
