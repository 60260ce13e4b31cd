"""What needs no server: mirrors that are folders, and files that are here already."""

import errno
import hashlib
import shutil

import pytest

from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained import fetch_model
from mrlspk.pretrained.fetch import recorded_sha256

NAME, FILE = "redimnet-b0-vox2-ptn", "b0-vox2-ptn.pt"  # its SHA-256 is not known beforehand
PINNED, PINNED_FILE = "redimnet-b2-vox2-ptn", "b2-vox2-ptn.pt"
BODY = b"weights" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


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


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_file_comes_from_a_mirror_folder_even_offline(mirror, cache_dir):
    fetched = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), offline=True)
    assert fetched.path.read_bytes() == BODY
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
    assert fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True).path.read_bytes() == BODY


def test_deleted_file_must_come_back_as_it_was(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.unlink()
    (mirror / FILE).write_bytes(b"another")
    with pytest.raises(DownloadError, match="expected SHA-256"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert not path.exists()


def test_force_takes_a_changed_file_and_its_hash(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    (mirror / FILE).write_bytes(b"another")
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert recorded_sha256(path) == hashlib.sha256(b"another").hexdigest()


def test_file_put_there_by_hand_is_recorded_at_first_use(cache_dir):
    cache_dir.mkdir()
    (cache_dir / f"{NAME}.pt").write_bytes(BODY)
    fetched = fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert recorded_sha256(fetched.path) == SHA256


def test_wrong_file_for_a_pinned_name_is_refused_and_leaves_nothing(mirror, cache_dir):
    with pytest.raises(DownloadError, match="expected SHA-256 c18a4292") as caught:
        fetch_model(PINNED, cache_dir=cache_dir, mirror=str(mirror))
    assert SHA256 in str(caught.value)
    assert files_in(cache_dir) == []


def test_hash_given_by_the_user_stands_over_the_registry_afterwards_too(mirror, cache_dir):
    fetch_model(PINNED, cache_dir=cache_dir, mirror=str(mirror), sha256=SHA256.upper())
    assert fetch_model(PINNED, cache_dir=cache_dir, offline=True).sha256 == SHA256


def test_failed_force_keeps_the_old_file(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    with pytest.raises(DownloadError):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256="0" * 64, force=True)
    assert path.read_bytes() == BODY
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_offline_miss_says_what_to_run(cache_dir):
    with pytest.raises(DownloadError, match="offline") as caught:
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert caught.value.exit_code == 4
    assert f"mrlspk pretrained fetch {NAME}" in caught.value.fix
    assert not cache_dir.exists()


def test_mirror_without_the_file_is_named(tmp_path, cache_dir):
    with pytest.raises(DownloadError, match="no such file in the mirror") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(tmp_path))
    assert caught.value.where == tmp_path / FILE


def test_full_disk_leaves_nothing(mirror, cache_dir, monkeypatch):
    def write_half(source, target):
        target.write_bytes(source.read_bytes()[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", write_half)
    with pytest.raises(DownloadError, match="No space left on device") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.exit_code == 4
    assert files_in(cache_dir) == []


def test_cache_folder_that_is_a_file_is_an_error_with_a_remedy(mirror, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match="could not be written") as caught:
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
