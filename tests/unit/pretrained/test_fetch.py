"""What needs no server: mirrors that are folders, and files that are here already."""

import errno
import hashlib
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import requests

from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained import download, fetch, fetch_model, find_model, transfer
from mrlspk.pretrained.records import RecordError, recorded_sha256

NAME, FILE = "redimnet-b0-vox2-ptn", "b0-vox2-ptn.pt"  # its SHA-256 is not known beforehand
PINNED, PINNED_FILE = "redimnet-b2-vox2-ptn", "b2-vox2-ptn.pt"


def checkpoint(content):
    """Return a zip file, as every checkpoint is one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), content)
    return file.getvalue()


def sha256(content):
    """Return the SHA-256 of a file or of bytes: what tests compare, for a diff of long bodies takes minutes."""
    return hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()


BODY, ANOTHER = checkpoint(b"weights" * 1000), checkpoint(b"another")
SHA256 = sha256(BODY)


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in (FILE, PINNED_FILE):
        (folder / name).write_bytes(BODY)
    return folder


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def pin(monkeypatch):
    """Let the registry know some of `NAME`, as a later version may."""

    def change(**known):
        model = find_model(NAME).model_copy(update=known)
        monkeypatch.setattr(fetch, "find_model", lambda _name: model)

    return change


def files_in(folder):
    """Return the names of all files but the locks."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != ".locks")


def test_file_comes_from_a_mirror_folder_even_offline(mirror, cache_dir):
    fetched = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), offline=True)
    assert sha256(fetched.path) == SHA256
    assert (fetched.name, fetched.sha256, fetched.bytes) == (NAME, SHA256, len(BODY))
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_unknown_hash_is_recorded_as_sha256sum_reads_it(mirror, cache_dir):
    fetched = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    record = fetched.path.with_name(f"{NAME}.pt.sha256")
    assert record.read_text() == f"{SHA256}  {NAME}.pt\n"


def test_file_that_differs_from_its_record_is_refused_until_forced(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.write_bytes(b"changed")
    with pytest.raises(DownloadError, match="expected SHA-256") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert "--force" in caught.value.fix
    assert path.read_bytes() == b"changed"
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert sha256(path) == SHA256


def test_deleted_file_must_come_back_as_it_was(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.unlink()
    (mirror / FILE).write_bytes(ANOTHER)
    with pytest.raises(DownloadError, match="expected SHA-256") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert f"--force, which forgets what was recorded at the first fetch, or --sha256 {sha256(ANOTHER)}" in str(
        caught.value
    )
    assert not path.exists()


def test_force_takes_a_changed_file_and_its_hash(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    (mirror / FILE).write_bytes(ANOTHER)
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert recorded_sha256(path) == sha256(ANOTHER)


def test_file_put_there_by_hand_is_recorded_at_first_use(cache_dir):
    cache_dir.mkdir()
    (cache_dir / f"{NAME}.pt").write_bytes(BODY)
    fetched = fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert recorded_sha256(fetched.path) == SHA256


def test_wrong_file_for_a_pinned_name_is_refused_and_leaves_nothing(mirror, cache_dir):
    with pytest.raises(DownloadError, match="expected SHA-256 c18a4292") as caught:
        fetch_model(PINNED, cache_dir=cache_dir, mirror=str(mirror))
    assert SHA256 in str(caught.value)
    assert "--force" not in caught.value.fix
    assert files_in(cache_dir) == []


def test_hash_given_by_the_user_stands_over_the_registry_afterwards_too(mirror, cache_dir, caplog):
    for arguments in ({"mirror": str(mirror), "sha256": SHA256.upper()}, {"offline": True}):
        caplog.clear()
        assert fetch_model(PINNED, cache_dir=cache_dir, **arguments).sha256 == SHA256
        assert f"using the file with SHA-256 {SHA256}" in caplog.text
        assert "the published one has c18a42926878bc8ac079623fbf36f0bc8054cda1199e96fbe1a3f8e131796647" in caplog.text


def test_hash_given_for_an_unknown_file_stands_over_a_registry_that_learns_another(mirror, cache_dir, pin, caplog):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=SHA256)
    assert caplog.text == ""
    pin(sha256="0" * 64)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).sha256 == SHA256
    assert SHA256 in caplog.text


def test_force_goes_back_to_what_the_registry_knows(mirror, cache_dir, pin):
    pin(sha256=sha256(ANOTHER))
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=SHA256).path
    (mirror / FILE).write_bytes(ANOTHER)
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert sha256(path) == sha256(ANOTHER)
    assert recorded_sha256(path) == sha256(ANOTHER)
    assert "given" not in path.with_name(f"{path.name}.sha256").read_text()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum here")
@pytest.mark.parametrize("given", [None, SHA256])
def test_record_is_one_that_sha256sum_checks(mirror, cache_dir, given):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=given).path
    check = ["sha256sum", "-c", f"{path.name}.sha256"]
    good = subprocess.run(check, cwd=cache_dir, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{path.name}: OK\n", "")
    path.write_bytes(ANOTHER)
    assert subprocess.run(check, cwd=cache_dir, capture_output=True, check=False).returncode == 1


def test_record_does_not_stand_over_the_registry(mirror, cache_dir, pin):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    pin(sha256=sha256(ANOTHER))
    with pytest.raises(DownloadError, match=f"expected SHA-256 {sha256(ANOTHER)}, got {SHA256}"):
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    (cache_dir / f"{NAME}.pt").write_bytes(ANOTHER)
    path = fetch_model(NAME, cache_dir=cache_dir, offline=True).path
    assert recorded_sha256(path) == sha256(ANOTHER)
    path.unlink()
    path.with_name(f"{path.name}.sha256").write_text(f"{SHA256}  {path.name}\n")
    (mirror / FILE).write_bytes(ANOTHER)
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert recorded_sha256(path) == sha256(ANOTHER)


def test_size_that_the_registry_knows_is_checked(mirror, cache_dir, pin):
    pin(bytes=len(BODY) + 1)
    with pytest.raises(DownloadError, match=f"expected {len(BODY) + 1:,} bytes, got {len(BODY):,}"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert files_in(cache_dir) == []
    pin(bytes=len(BODY))
    assert fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).bytes == len(BODY)


def test_file_that_is_verified_by_the_registry_needs_no_record(cache_dir, pin):
    pin(sha256=SHA256)
    cache_dir.mkdir()
    (cache_dir / f"{NAME}.pt").write_bytes(BODY)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).sha256 == SHA256
    assert files_in(cache_dir) == [f"{NAME}.pt"]


def test_failed_force_keeps_the_old_file(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    with pytest.raises(DownloadError):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256="0" * 64, force=True)
    assert sha256(path) == SHA256
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
    with pytest.raises(DownloadError, match="no such file; nor is it under its name as published") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(tmp_path))
    assert caught.value.where == str(tmp_path / f"{NAME}.pt")
    assert str(tmp_path / FILE) in caught.value.what
    assert files_in(cache_dir) == []


def test_interrupted_copy_leaves_nothing(mirror, cache_dir):
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    (mirror / FILE).write_bytes(bytes(transfer.CHUNK_BYTES + 1))
    with pytest.raises(KeyboardInterrupt):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=interrupt)
    assert files_in(cache_dir) == []


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", BODY[:-1], BODY[: len(BODY) // 2]])
def test_file_of_unknown_hash_must_be_a_whole_checkpoint_unless_the_user_names_it(mirror, cache_dir, content):
    (mirror / FILE).write_bytes(content)
    with pytest.raises(DownloadError, match=f"expected a checkpoint, got {len(content):,} bytes") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.where == str(mirror / FILE)
    assert files_in(cache_dir) == []
    fetched = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=sha256(content))
    assert fetched.bytes == len(content)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).bytes == len(content)


def test_page_that_was_once_recorded_is_refused_until_forced(mirror, cache_dir):
    cache_dir.mkdir()
    path, page = cache_dir / f"{NAME}.pt", b"<html>Sign in</html>"
    path.write_bytes(page)
    path.with_name(f"{NAME}.pt.sha256").write_text(f"{sha256(page)}  {NAME}.pt\n")
    with pytest.raises(DownloadError, match="expected a checkpoint") as caught:
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert "--force" in caught.value.fix
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert sha256(path) == SHA256


def test_progress_covers_the_copy_and_the_verification(mirror, cache_dir):
    seen = []
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 2
    fetch_model(NAME, cache_dir=cache_dir, on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 3


def test_part_of_a_forced_download_is_in_nobodys_way(mirror, cache_dir, monkeypatch):
    def fail(*_):
        raise AssertionError("a file that is whole needs no lock")

    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f".{path.name}.partial").write_bytes(b"part")
    with monkeypatch.context() as patched:
        patched.setattr(fetch, "one_at_a_time", fail)
        assert fetch_model(NAME, cache_dir=cache_dir, offline=True).path == path
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_new_file_is_put_in_place_after_a_kill_between_its_record_and_itself(mirror, cache_dir):
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


def test_what_a_server_says_steers_no_terminal(cache_dir, monkeypatch):
    response = requests.Response()
    response.status_code, response.reason, response.raw = 418, "\x1b[31mred", io.BytesIO()
    response.url = "http://host/model.pt"
    monkeypatch.setattr(requests, "get", lambda *_, **__: response)
    with pytest.raises(DownloadError) as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror="http://host")
    assert caught.value.what == "the server answered 418 [31mred"


def test_home_of_nobody_is_a_usage_error():
    with pytest.raises(UsageError, match="there is no such user"):
        fetch_model(NAME, cache_dir=Path("~nobody-of-this-name/cache"))


def test_full_disk_leaves_nothing(mirror, cache_dir, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_write", fail)
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


def test_cache_folder_that_is_a_file_is_an_error_with_a_remedy(mirror, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match="cannot be locked") as caught:
        fetch_model(NAME, cache_dir=tmp_path / "taken", mirror=str(mirror))
    assert "--cache-dir" in caught.value.fix


def test_damaged_record_is_refused_until_forced(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f"{path.name}.sha256").write_text("")
    with pytest.raises(DownloadError, match="expected a line"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert recorded_sha256(path) == SHA256


@pytest.mark.parametrize("text", ["", "abc", "g" * 64])
def test_hash_that_is_not_one_is_a_usage_error(text, cache_dir):
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        fetch_model(NAME, cache_dir=cache_dir, sha256=text)


@pytest.mark.parametrize("address", ["ftp://host/model.pt", "file:///etc/passwd", "http://", "http://[::1/x"])
def test_other_addresses_are_refused(address, cache_dir):
    with pytest.raises(DownloadError, match="expected an http or https address"):
        fetch_model(address, cache_dir=cache_dir)
