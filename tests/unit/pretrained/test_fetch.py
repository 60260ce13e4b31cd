"""What needs no server: mirrors that are folders, and files that are here already."""

import errno
import hashlib
import io
import zipfile

import pytest

from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained import download, fetch_model, transfer
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
    with pytest.raises(DownloadError, match="expected SHA-256"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
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
    assert files_in(cache_dir) == []


def test_hash_given_by_the_user_stands_over_the_registry_afterwards_too(mirror, cache_dir):
    fetch_model(PINNED, cache_dir=cache_dir, mirror=str(mirror), sha256=SHA256.upper())
    assert fetch_model(PINNED, cache_dir=cache_dir, offline=True).sha256 == SHA256


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
    assert caught.value.where == tmp_path / f"{NAME}.pt"
    assert str(tmp_path / FILE) in caught.value.what
    assert files_in(cache_dir) == []


def test_interrupted_copy_leaves_nothing(mirror, cache_dir):
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    (mirror / FILE).write_bytes(bytes(transfer.CHUNK_BYTES + 1))
    with pytest.raises(KeyboardInterrupt):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=interrupt)
    assert files_in(cache_dir) == []


def test_empty_file_is_copied_as_it_is(mirror, cache_dir):
    (mirror / FILE).write_bytes(b"")
    assert fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).bytes == 0


def test_progress_covers_the_copy_and_the_verification(mirror, cache_dir):
    seen = []
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 2
    fetch_model(NAME, cache_dir=cache_dir, on_progress=lambda *at: seen.append(at))
    assert seen == [(len(BODY), len(BODY))] * 3


def test_part_of_a_forced_download_is_gone_after_the_file_is_used(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f".{path.name}.partial").write_bytes(b"part")
    fetch_model(NAME, cache_dir=cache_dir, offline=True)
    assert files_in(cache_dir) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_full_disk_leaves_nothing(mirror, cache_dir, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_write", fail)
    with pytest.raises(DownloadError, match="No space left on device") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.exit_code == 4
    assert files_in(cache_dir) == []


def test_disk_too_full_for_the_record_leaves_nothing(mirror, cache_dir, monkeypatch):
    def fail(path, _sha256):
        raise RecordError("cannot be written: No space left on device", path)

    monkeypatch.setattr(download, "record_sha256", fail)
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
