import os

import numpy as np
import pytest
from tests.encoded_audio import write_lossy

from mrlspk.data.audio import frame_counts
from mrlspk.data.audio.ffmpeg import FFmpegStream
from mrlspk.data.audio.frame_counts import count_frames
from mrlspk.data.audio.loading import random_crop
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.source import FileSource, TarMember
from mrlspk.data.audio.stream import AudioStream


class Counted(AudioStream):
    """A stream that counts how often it is counted."""

    codec = "mp3"

    def __init__(self, n_frames: int | None = None) -> None:
        self.n_frames, self.n_counts = n_frames, 0

    def count_frames(self) -> int:
        self.n_counts += 1
        return 100 + self.n_counts


@pytest.fixture(autouse=True)
def no_counts(monkeypatch):
    monkeypatch.setattr(frame_counts, "_counts", {})


def test_stated_number_is_taken(tmp_path):
    assert count_frames(FileSource(str(tmp_path / "absent")), Counted(77)) == 77


def test_file_is_counted_once_until_it_changes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    source, stream = FileSource(str(tmp_path / "a")), Counted()
    assert [count_frames(source, stream) for _ in range(3)] == [101] * 3
    (tmp_path / "a").write_bytes(b"abcd")
    assert count_frames(source, stream) == 102
    os.utime(tmp_path / "a", ns=(1, 1))
    assert count_frames(source, stream) == 103


def test_member_of_an_archive_is_counted_each_time():
    source, stream = TarMember("a.tar", "b.mp3", 0, 10), Counted()
    assert [count_frames(source, stream) for _ in range(2)] == [101, 102]


def test_counts_are_dropped_when_there_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_counts, "MOST_COUNTS", 2)
    for name in "abc":
        (tmp_path / name).write_bytes(b"x")
        count_frames(FileSource(str(tmp_path / name)), Counted())
    assert len(frame_counts._counts) == 1


def test_crops_of_one_file_count_it_once(tmp_path, monkeypatch):
    path = write_lossy(tmp_path / "a.mp3", np.random.default_rng(0).normal(0, 0.1, 32_000))
    assert open_stream(path).n_frames is None
    n_counts, count = [], FFmpegStream.count_frames
    monkeypatch.setattr(FFmpegStream, "count_frames", lambda self: n_counts.append(1) or count(self))
    for seed in range(3):
        random_crop(path, 1_600, np.random.default_rng(seed))
    assert len(n_counts) == 1


def test_header_of_mpeg4_spares_the_counting(encoded, monkeypatch):
    stream = open_stream(encoded("m4a"))
    expected = stream.count_frames()
    stream.close()
    monkeypatch.delattr(FFmpegStream, "count_frames")
    stream = open_stream(encoded("m4a"))
    assert count_frames(FileSource(str(encoded("m4a"))), stream) == expected
    stream.close()
