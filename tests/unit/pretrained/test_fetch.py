"""Fetch from mirrors that are folders, and find files that are already there."""

import errno
import io
import os
from pathlib import Path

import pytest
import requests

from model_files import sha256
from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained import download, fetch, fetch_model, http_download
from mrlspk.pretrained.cache_folder import RecordError
from unit.pretrained.conftest import ANOTHER, BODY, FILE, NAME, SHA256, files_in


def test_file_comes_from_a_mirror_folder_even_offline(mirror, cache_dir):
    fetched = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), offline=True)
    assert sha256(fetched.path) == SHA256
    assert (fetched.name, fetched.sha256, fetched.bytes) == (NAME, SHA256, len(BODY))
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_offline_miss_says_what_to_run(cache_dir):
    with pytest.raises(DownloadError, match="offline") as caught:
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert caught.value.exit_code == 4
    assert f"mrlspk pretrained fetch {NAME}" in caught.value.fix
    assert not cache_dir.exists()


def test_folder_of_fetched_files_is_a_mirror(mirror, cache_dir, tmp_path):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    (mirror / FILE).write_bytes(b"another model with this file name")
    (cache_dir / FILE).write_bytes(b"another model with this file name")
    fetched = fetch_model(NAME, cache_dir=tmp_path / "second", mirror=str(cache_dir), offline=True)
    assert sha256(fetched.path) == SHA256


def test_mirror_without_the_file_names_both_places(tmp_path, cache_dir):
    with pytest.raises(DownloadError, match="no such file; nor is it at ") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(tmp_path))
    assert caught.value.where == str(tmp_path / f"{NAME}.pt")
    assert str(tmp_path / FILE) in caught.value.what
    assert files_in(cache_dir) == []


def test_interrupted_copy_leaves_nothing(mirror, cache_dir):
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    (mirror / FILE).write_bytes(bytes(http_download.CHUNK_BYTES + 1))
    with pytest.raises(KeyboardInterrupt):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=interrupt)
    assert files_in(cache_dir) == []


def test_progress_covers_the_copy_and_the_verification(mirror, cache_dir):
    seen = []
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 2
    fetch_model(NAME, cache_dir=cache_dir, on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 3


def test_part_of_a_forced_download_does_not_block_others(mirror, cache_dir, monkeypatch):
    def fail(*_):
        raise AssertionError("a file that is whole needs no lock")

    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f".{path.name}.partial").write_bytes(b"part")
    with monkeypatch.context() as patched:
        patched.setattr(fetch, "lock_model", fail)
        assert fetch_model(NAME, cache_dir=cache_dir, offline=True).path == path
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_file_is_replaced_after_a_kill_between_record_and_file(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f".{path.name}.partial").write_bytes(ANOTHER)
    path.with_name(f"{path.name}.sha256").write_text(f"{sha256(ANOTHER)}  {path.name}\n")
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).sha256 == sha256(ANOTHER)
    assert sha256(path) == sha256(ANOTHER)
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


@pytest.mark.parametrize("given", [None, SHA256])
def test_file_that_cannot_be_replaced_keeps_its_record(mirror, cache_dir, monkeypatch, given):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=given).path
    record = path.with_name(f"{path.name}.sha256").read_text()
    (mirror / FILE).write_bytes(ANOTHER)
    fail_at(monkeypatch, "replace", path.with_name(f".{path.name}.partial"))
    with pytest.raises(DownloadError, match="could not be written: Permission denied"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert path.with_name(f"{path.name}.sha256").read_text() == record
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).sha256 == SHA256


def test_folder_in_the_place_of_the_file_leaves_no_record(mirror, cache_dir):
    (cache_dir / f"{NAME}.pt").mkdir(parents=True)
    with pytest.raises(DownloadError, match="could not be written: Is a directory"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert files_in(cache_dir) == []


def fail_at(monkeypatch, method, path):
    """Let a method of `Path` fail at one path, as it does for who has no right to it."""
    original = getattr(Path, method)

    def fail(self, *arguments, **options):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, method, fail)


@pytest.mark.parametrize(
    ("method", "name"),
    [("is_file", f"{NAME}.pt"), ("open", f"{NAME}.pt"), ("open", f"{NAME}.pt.sha256")],
)
def test_cached_file_that_cannot_be_read_is_named(mirror, cache_dir, monkeypatch, method, name):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    fail_at(monkeypatch, method, cache_dir / name)
    with pytest.raises(DownloadError, match="cannot be read: Permission denied") as caught:
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert str(caught.value.where) == str(cache_dir / name)


@pytest.mark.parametrize("method", ["is_file", "open"])
def test_file_of_a_mirror_that_cannot_be_read_is_named(mirror, cache_dir, monkeypatch, method):
    fail_at(monkeypatch, method, mirror / FILE)
    with pytest.raises(DownloadError, match="cannot be read: Permission denied") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.where == mirror / FILE
    assert "MRLSPK_MIRROR" in caught.value.fix
    assert files_in(cache_dir) == []


def test_part_that_cannot_be_removed_is_named(mirror, cache_dir):
    part = cache_dir / f".{NAME}.pt.partial"
    part.mkdir(parents=True)
    with pytest.raises(DownloadError, match="the file could not be written") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert str(part) in caught.value.what
    assert f"{part} cannot be removed" in caught.value.fix


def test_server_text_is_escaped_for_the_terminal(cache_dir, monkeypatch):
    response = requests.Response()
    response.status_code, response.reason, response.raw = 418, "\x1b[31mred", io.BytesIO()
    response.url = "http://host/model.pt"
    monkeypatch.setattr(requests, "get", lambda *_, **__: response)
    with pytest.raises(DownloadError) as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror="http://host")
    assert caught.value.what == "the server answered 418 [31mred"


def test_home_of_unknown_user_is_a_usage_error():
    with pytest.raises(UsageError, match="there is no such user"):
        fetch_model(NAME, cache_dir=Path("~nobody-of-this-name/cache"))


def test_full_disk_leaves_nothing(mirror, cache_dir, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(http_download, "_write", fail)
    with pytest.raises(DownloadError, match="No space left on device") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.exit_code == 4
    assert files_in(cache_dir) == []


def test_disk_too_full_for_the_record_leaves_nothing(mirror, cache_dir, monkeypatch):
    def fail(path, _record):
        raise RecordError("cannot be written: No space left on device", path)

    monkeypatch.setattr(download, "write_record", fail)
    with pytest.raises(DownloadError, match="No space left on device"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert files_in(cache_dir) == []


def test_cache_folder_that_is_a_file_is_an_error_with_a_fix(mirror, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match="cannot be locked") as caught:
        fetch_model(NAME, cache_dir=tmp_path / "taken", mirror=str(mirror))
    assert "`cache_dir`" in caught.value.fix


@pytest.mark.parametrize("address", ["ftp://host/model.pt", "file:///etc/passwd", "http://", "http://[::1/x"])
def test_other_addresses_are_refused(address, cache_dir):
    with pytest.raises(DownloadError, match="expected an http or https address"):
        fetch_model(address, cache_dir=cache_dir)


@pytest.mark.skipif(os.name != "posix", reason="files have no such permissions here")
def test_other_users_can_take_the_lock_after_us(mirror, cache_dir):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    lock = cache_dir / ".locks" / f"{NAME}.pt.lock"
    assert lock.stat().st_mode & 0o777 == 0o666
