import os
from pathlib import Path

import pytest

from mrlspk.data import byte_ranges
from mrlspk.data.byte_ranges import open_range

CONTENT = bytes(range(256)) * 1_000


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "a.tar").write_bytes(CONTENT)
    return str(tmp_path / "a.tar")


@pytest.mark.parametrize(("start", "length"), [(0, 10), (100, 60_000), (300, 200_000)])
def test_range_reads_as_a_file_of_its_own(archive, start, length):
    expected = CONTENT[start : start + length]
    with open_range(archive, start, length) as file, open_range(archive, 5, 7) as other:
        assert file.read(7) == expected[:7]
        assert other.read() == CONTENT[5:12]
        assert file.seek(-4, os.SEEK_END) == length - 4
        assert file.read() == expected[-4:]
        assert file.seek(2) == 2
        assert file.read() == expected[2:]
        assert file.read(1) == b""


@pytest.mark.parametrize("length", [100, 100_000])
def test_range_beyond_the_end_is_an_error(archive, length):
    with pytest.raises(OSError, match="cut short"):
        open_range(archive, len(CONTENT) - 50, length).read()


def test_archive_that_was_packed_again_is_opened_again(archive, tmp_path):
    assert open_range(archive, 0, 3).read() == CONTENT[:3]
    (tmp_path / "new").write_bytes(b"other content")
    (tmp_path / "new").replace(archive)
    assert open_range(archive, 0, 3).read() == b"oth"
    Path(archive).unlink()
    with pytest.raises(FileNotFoundError):
        open_range(archive, 0, 3)


def n_open():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_archives_stay_open_and_only_so_many(tmp_path, monkeypatch):
    monkeypatch.setattr(byte_ranges, "MOST_OPEN", 3)
    monkeypatch.setattr(byte_ranges, "_archives", byte_ranges._Archives())
    for number in range(8):
        (tmp_path / f"{number}.tar").write_bytes(b"x%d" % number)
    before = n_open()
    for _ in range(2):
        for number in range(8):
            assert open_range(str(tmp_path / f"{number}.tar"), 0, 2).read() == b"x%d" % number
    assert n_open() == before + 3
