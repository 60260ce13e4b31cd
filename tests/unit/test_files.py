import hashlib
import threading
import time

import pytest

from mrlspk.errors import DownloadError, MrlspkError
from mrlspk.files import check_free, file_sha256, one_at_a_time, whole_file


def test_whole_file_leaves_only_the_written_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_keeps_the_file_before(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def write_half():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_is_a_file_is_reported_with_the_path(tmp_path):
    (tmp_path / "text").write_text("no folder")
    path = tmp_path / "text" / "file.txt"
    with pytest.raises(MrlspkError, match="cannot be written") as caught, whole_file(path) as partial:
        partial.write_text("never")
    assert caught.value.where == path


def test_full_disk_is_reported_with_the_path_and_leaves_nothing(tmp_path):
    path = tmp_path / "file.txt"

    def write_until_full():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(MrlspkError, match="cannot be written: No space left on device"):
        write_until_full()
    assert list(tmp_path.iterdir()) == []


def test_check_free_accepts_a_new_path_or_force(tmp_path):
    path = tmp_path / "file.txt"
    check_free(path, force=False)
    path.write_text("precious")
    check_free(path, force=True)
    with pytest.raises(MrlspkError, match="exists"):
        check_free(path, force=False)


def test_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "text").write_text("no folder")
    with pytest.raises(MrlspkError, match="text is in the way"):
        check_free(tmp_path / "text" / "deep" / "file.txt", force=True)


def test_lock_is_held_by_one_at_a_time(tmp_path):
    order, held = list[str](), threading.Event()

    def other():
        held.wait()
        with one_at_a_time(tmp_path / "new" / "lock", on_wait=lambda: order.append("waits")):
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with one_at_a_time(tmp_path / "new" / "lock", on_wait=lambda: order.append("never")):
        held.set()
        while not order:
            time.sleep(0.001)
        order.append("first")
    thread.join()
    assert order == ["waits", "first", "other"]


def test_lock_held_too_long_raises_the_given_error(tmp_path):
    busy = MrlspkError("another process is at work")
    with one_at_a_time(tmp_path / "lock", on_wait=lambda: None):  # noqa: SIM117
        with (
            pytest.raises(MrlspkError) as caught,
            one_at_a_time(tmp_path / "lock", on_wait=lambda: None, patience_seconds=0.01, busy=busy),
        ):
            pytest.fail("the lock is held twice")
    assert caught.value is busy


def test_lock_that_cannot_be_created_raises_the_given_type(tmp_path):
    (tmp_path / "file").write_text("no folder")
    lock = one_at_a_time(
        tmp_path / "file" / "lock", on_wait=lambda: None, error_type=DownloadError, fix="Give another cache."
    )
    with pytest.raises(DownloadError, match="cannot be locked") as caught, lock:
        pytest.fail("there is no lock")
    assert caught.value.fix == "Give another cache."


def test_error_in_a_locked_block_is_not_changed(tmp_path):
    with pytest.raises(PermissionError), one_at_a_time(tmp_path / "lock", on_wait=lambda: None):
        raise PermissionError


def test_sha256_matches_hashlib_and_progress_ends_at_the_size(tmp_path):
    path, content, seen = tmp_path / "file", bytes(range(256)) * 5000, list[tuple[int, int]]()
    path.write_bytes(content)
    assert file_sha256(path, lambda *at: seen.append(at)) == hashlib.sha256(content).hexdigest()
    assert seen == [(1 << 20, len(content)), (len(content), len(content))]
