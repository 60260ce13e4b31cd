"""Fetch from mirrors that are folders, and find files that are already there."""

import errno
import io
import os
from pathlib import Path

import pytest
import requests

from model_files import sha256
from mrlspk.errors import DownloadError, MrlspkError, UsageError
from mrlspk.pretrained import cache_folder, fetch, fetch_model, sources, verification
from mrlspk.pretrained.cache_folder import lock_model
from unit.pretrained.conftest import ANOTHER, BODY, FILE, NAME, SHA256, fail_at, files_in


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

    (mirror / FILE).write_bytes(bytes(sources.CHUNK_BYTES + 1))
    with pytest.raises(KeyboardInterrupt):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=interrupt)
    assert files_in(cache_dir) == []


def test_progress_covers_the_copy_and_the_verification(mirror, cache_dir):
    seen = []
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 2
    fetch_model(NAME, cache_dir=cache_dir, on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 3


def test_whole_file_is_used_without_a_lock(mirror, cache_dir, monkeypatch):
    def fail(*_):
        raise AssertionError("no lock is needed")

    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    monkeypatch.setattr(fetch, "lock_model", fail)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).path == path


@pytest.mark.parametrize("force", [False, True])
def test_part_that_was_left_is_removed_by_the_next_use(mirror, cache_dir, force):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f"{path.name}.partial").write_bytes(ANOTHER)
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=force)
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]
    assert sha256(path) == SHA256


def test_part_in_use_by_another_process_is_left_alone(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    part = path.with_name(f"{path.name}.partial")
    part.write_bytes(b"part")
    with lock_model(path, cache_dir):
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert part.read_bytes() == b"part"


def test_part_in_a_read_only_folder_is_left_alone(mirror, cache_dir, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f"{path.name}.partial").write_bytes(b"part")
    monkeypatch.setattr(cache_folder, "FileLock", fail)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).path == path


def test_part_of_another_user_is_replaced(mirror, cache_dir, tmp_path, monkeypatch):
    cache_dir.mkdir()
    (tmp_path / "theirs").write_bytes(b"theirs")
    (cache_dir / f"{NAME}.pt.partial").hardlink_to(tmp_path / "theirs")
    monkeypatch.setattr(os, "access", lambda path, mode: not (str(path).endswith(".partial") and mode & os.W_OK))
    assert sha256(fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=SHA256).path) == SHA256
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_file_that_cannot_be_replaced_stays_usable(mirror, cache_dir, monkeypatch):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    (mirror / FILE).write_bytes(ANOTHER)
    fail_at(monkeypatch, "replace", path.with_name(f"{path.name}.partial"))
    with pytest.raises(DownloadError, match="cannot be fetched: Permission denied"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).sha256 == SHA256
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_folder_in_the_place_of_the_file_leaves_no_record(mirror, cache_dir):
    (cache_dir / f"{NAME}.pt").mkdir(parents=True)
    with pytest.raises(DownloadError, match="cannot be fetched: Is a directory"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert files_in(cache_dir) == []


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
    with pytest.raises(DownloadError, match="cannot be fetched: Permission denied") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert str(mirror / FILE) in caught.value.what
    assert files_in(cache_dir) == []


def test_folder_in_the_place_of_the_part_is_named(mirror, cache_dir):
    part = cache_dir / f"{NAME}.pt.partial"
    part.mkdir(parents=True)
    with pytest.raises(DownloadError, match="Is a directory") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.where == str(part)


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


def test_disk_too_full_for_the_record_leaves_a_usable_file(mirror, cache_dir, monkeypatch):
    def fail(path, **_):
        raise MrlspkError("cannot be written: No space left on device", path)

    with monkeypatch.context() as patched:
        patched.setattr(verification, "whole_file", fail)
        with pytest.raises(DownloadError, match="No space left on device") as caught:
            fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.exit_code == 4
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).sha256 == SHA256
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_cache_folder_that_is_a_file_is_an_error_with_a_fix(mirror, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match="cannot be locked") as caught:
        fetch_model(NAME, cache_dir=tmp_path / "taken", mirror=str(mirror))
    assert "MRLSPK_CACHE_DIR" in caught.value.fix


@pytest.mark.parametrize("address", ["ftp://host/model.pt", "file:///etc/passwd", "http://", "http://[::1/x"])
def test_other_addresses_are_refused(address, cache_dir):
    with pytest.raises(DownloadError, match="expected an http or https address"):
        fetch_model(address, cache_dir=cache_dir)


@pytest.mark.skipif(os.name != "posix", reason="files have no such permissions here")
def test_other_users_can_take_the_lock_after_us(mirror, cache_dir):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    lock = cache_dir / ".locks" / f"{NAME}.pt.lock"
    assert lock.stat().st_mode & 0o777 == 0o666
