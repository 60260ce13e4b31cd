"""The words of the progress of ``mrlspk embed``."""

import pytest

from mrlspk.cli.embed_progress import duration, speed
from mrlspk.workflows.embed_run import EmbedProgress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s of audio"),
        (59.9, "59.9 s of audio"),
        (90.0, "1.5 min of audio"),
        (4.5e6, "1,250.0 h of audio"),
    ],
)
def test_duration_is_shown_in_the_largest_unit(seconds, text):
    assert duration(seconds) == text


def test_speed_is_relative_to_the_length_of_the_audio():
    assert speed(EmbedProgress(3.5, 10, 7200.0, 36.0)) == "200 times real time"
    assert speed(EmbedProgress(0, 10, 0.0, 0.0)) == ""
