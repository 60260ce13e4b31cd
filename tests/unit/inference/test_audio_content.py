import hashlib
import os
import tarfile
import time

import pytest

from mrlspk.data.audio.source import FileSource, RangeSource, as_source, list_tar
from mrlspk.inference import audio_content
from mrlspk.inference.audio_content import file_state, read_content


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"first")
    return path


def wait_until_settled(path, monkeypatch):
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(audio_content.time, "time_ns", lambda: later)
    return read_content(as_source(path))


def test_content_is_the_sha256_of_the_bytes(path):
    assert read_content(as_source(path)).sha256 == hashlib.sha256(b"first").digest()


def test_file_settles_within_three_seconds(path, monkeypatch):
    assert not read_content(as_source(path)).settled
    assert wait_until_settled(path, monkeypatch).settled


def test_file_of_the_future_never_settles(path, monkeypatch):
    os.utime(path, (time.time() + 1e6,) * 2)
    assert not wait_until_settled(path, monkeypatch).settled


def test_old_mtime_alone_does_not_settle_a_file(path):
    os.utime(path, (0, 0))
    assert not read_content(as_source(path)).settled


def test_change_of_the_same_size_and_mtime_shows(path, monkeypatch):
    before = wait_until_settled(path, monkeypatch)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    time.sleep(0.02)  # more than the grain of the kernel's clock
    path.write_bytes(b"other")
    os.utime(path, ns=times)
    assert not before.still_holds()


def test_change_within_one_clock_tick_shows_in_an_unsettled_file(path, monkeypatch):
    before = read_content(as_source(path))
    monkeypatch.setattr(audio_content, "file_state", lambda _: before.state)
    assert before.still_holds()
    path.write_bytes(b"other")
    assert not before.still_holds()


def test_settled_file_is_not_read_again(path, monkeypatch):
    before = wait_until_settled(path, monkeypatch)
    monkeypatch.setattr(audio_content, "read_content", lambda _: pytest.fail("read again"))
    assert before.still_holds()


def test_unreadable_file_has_no_content(tmp_path, path):
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("absent.wav", "pipe.wav", "", "\0.wav"):
        assert read_content(as_source(tmp_path / name)) is None
        assert file_state(as_source(tmp_path / name)) is None
    before = read_content(as_source(path))
    path.unlink()
    assert not before.still_holds()


def test_file_that_grows_while_it_is_read_has_no_content(path, monkeypatch):
    digest = hashlib.file_digest

    def grow_then_digest(file, name):
        path.write_bytes(b"longer than before")
        return digest(file, name)

    monkeypatch.setattr(audio_content.hashlib, "file_digest", grow_then_digest)
    assert read_content(as_source(path)) is None


def test_content_of_a_tar_member_is_that_of_its_bytes(path, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(path, "a.wav")
    (member,) = list_tar(tmp_path / "a.tar")
    found = read_content(member)
    assert (found.sha256, found.state, found.settled) == (hashlib.sha256(b"first").digest(), None, False)
    assert found.still_holds()
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes().replace(b"first", b"other"))
    assert not found.still_holds()


def test_content_of_a_range_is_that_of_the_whole(path):
    whole = FileSource(str(path))
    assert read_content(RangeSource(whole, 1.0, 2.0)).sha256 == read_content(whole).sha256
