"""Verify a fetched file by the SHA-256 of the user, of the registry, or of the first download."""

import shutil
import subprocess

import pytest

from model_files import sha256
from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained import fetch_model
from mrlspk.pretrained.verification import read_record
from unit.pretrained.conftest import ANOTHER, BODY, FILE, NAME, PINNED, SHA256, files_in


def recorded_sha256(path):
    return read_record(path).sha256


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
    assert f"fetch {NAME} --cache-dir {cache_dir} --force --sha256 {sha256(ANOTHER)}" in caught.value.fix
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
    assert f"--force --sha256 {SHA256}" in caught.value.fix
    assert files_in(cache_dir) == []


def test_wrong_cached_file_of_a_pinned_name_is_refused(cache_dir):
    cache_dir.mkdir()
    (cache_dir / f"{PINNED}.pt").write_bytes(BODY)
    with pytest.raises(DownloadError, match="expected SHA-256 c18a4292") as caught:
        fetch_model(PINNED, cache_dir=cache_dir, offline=True)
    assert "--force" in caught.value.fix


def test_given_hash_overrides_the_registry_later_too(mirror, cache_dir, caplog):
    for arguments in ({"mirror": str(mirror), "sha256": SHA256.upper()}, {"offline": True}):
        caplog.clear()
        assert fetch_model(PINNED, cache_dir=cache_dir, **arguments).sha256 == SHA256
        assert f"using the file with SHA-256 {SHA256}" in caplog.text
        assert "the registry has c18a42926878bc8ac079623fbf36f0bc8054cda1199e96fbe1a3f8e131796647" in caplog.text


def test_given_hash_overrides_a_registry_that_adds_one_later(mirror, cache_dir, pin, caplog):
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


@pytest.mark.process
@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum here")
@pytest.mark.parametrize("given", [None, SHA256])
def test_record_is_one_that_sha256sum_checks(mirror, cache_dir, given):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=given).path
    check = ["sha256sum", "-c", f"{path.name}.sha256"]
    good = subprocess.run(check, cwd=cache_dir, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{path.name}: OK\n", "")
    path.write_bytes(ANOTHER)
    assert subprocess.run(check, cwd=cache_dir, capture_output=True, check=False).returncode == 1


def test_record_does_not_override_the_registry(mirror, cache_dir, pin):
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    pin(sha256=sha256(ANOTHER))
    with pytest.raises(DownloadError, match=f"expected SHA-256 {sha256(ANOTHER)}, got {SHA256}"):
        fetch_model(NAME, cache_dir=cache_dir, offline=True)
    (cache_dir / f"{NAME}.pt").write_bytes(ANOTHER)
    path = fetch_model(NAME, cache_dir=cache_dir, offline=True).path
    path.unlink()
    (mirror / FILE).write_bytes(ANOTHER)
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert recorded_sha256(path) == sha256(ANOTHER)


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


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\r\n <html>Sign in</html>", "a page of text"),
        (b'{"message": "Not Found"}', "a page of text"),
        (BODY[:-1], f"a truncated or damaged file of {len(BODY) - 1:,} bytes"),
        (BODY[: len(BODY) // 2], f"a truncated or damaged file of {len(BODY) // 2:,} bytes"),
    ],
)
def test_unpinned_file_must_be_a_checkpoint_unless_hash_is_given(mirror, cache_dir, content, found):
    (mirror / FILE).write_bytes(content)
    with pytest.raises(DownloadError, match=f"expected a checkpoint, got {found}") as caught:
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    assert caught.value.where == str(mirror / FILE)
    assert files_in(cache_dir) == []
    fetched = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), sha256=sha256(content))
    assert fetched.bytes == len(content)
    assert fetch_model(NAME, cache_dir=cache_dir, offline=True).bytes == len(content)


def test_damaged_record_is_refused_until_forced(mirror, cache_dir):
    path = fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror)).path
    path.with_name(f"{path.name}.sha256").write_text("")
    with pytest.raises(DownloadError, match="expected a line"):
        fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror))
    fetch_model(NAME, cache_dir=cache_dir, mirror=str(mirror), force=True)
    assert recorded_sha256(path) == SHA256


@pytest.mark.parametrize("text", ["", "abc", "g" * 64])
def test_invalid_hash_is_a_usage_error(text, cache_dir):
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        fetch_model(NAME, cache_dir=cache_dir, sha256=text)
