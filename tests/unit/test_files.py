import errno
import hashlib
import os
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from mrlspk.errors import DownloadError, MrlspkError
from mrlspk.files import check_free, claimed_file, file_sha256, one_at_a_time, whole_file, whole_folder


def test_whole_file_leaves_only_the_written_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path, force=False) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_keeps_the_file_before(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def write_half():
        with whole_file(path, force=True) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_is_a_file_is_reported_with_the_path(tmp_path):
    (tmp_path / "text").write_text("no folder")
    path = tmp_path / "text" / "file.txt"
    with pytest.raises(MrlspkError, match="text is in the way") as caught, whole_file(path, force=False):
        pytest.fail("a file became a folder")
    assert caught.value.where == path


def test_full_disk_is_reported_with_the_path_and_leaves_nothing(tmp_path):
    path = tmp_path / "file.txt"

    def write_until_full():
        with whole_file(path, force=False) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(MrlspkError, match="cannot be written: No space left on device"):
        write_until_full()
    assert list(tmp_path.iterdir()) == []


def write(path, *, force, meanwhile):
    with whole_file(path, force=force) as partial:
        partial.write_text("new")
        meanwhile()


def test_file_that_appears_meanwhile_is_kept_and_so_is_the_new_one(tmp_path):
    path = tmp_path / "file.txt"
    with pytest.raises(MrlspkError, match="appeared meanwhile") as caught:
        write(path, force=False, meanwhile=lambda: path.write_text("of another program"))
    assert path.read_text() == "of another program"
    assert (tmp_path / "file.txt.partial").read_text() == "new"
    assert str(tmp_path / "file.txt.partial") in caught.value.fix


def test_file_that_appears_meanwhile_is_replaced_with_force(tmp_path):
    path = tmp_path / "file.txt"
    write(path, force=True, meanwhile=lambda: path.write_text("of another program"))
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("appears", [False, True])
def test_without_hard_links_a_file_is_still_not_replaced(tmp_path, monkeypatch, appears):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "file.txt"
    with pytest.raises(MrlspkError, match="appeared") if appears else nullcontext():
        write(path, force=False, meanwhile=lambda: path.write_text("of another program") if appears else None)
    assert path.read_text() == ("of another program" if appears else "new")
    assert (tmp_path / "file.txt.partial").exists() == appears


def test_new_file_that_cannot_replace_is_kept(tmp_path):
    path = tmp_path / "file.txt"
    with pytest.raises(MrlspkError, match="appeared meanwhile"):
        write(path, force=True, meanwhile=path.mkdir)
    assert (tmp_path / "file.txt.partial").read_text() == "new"


@pytest.mark.parametrize("points_to_a_file", [False, True])
def test_symbolic_link_counts_as_a_file_and_keeps_its_target(tmp_path, points_to_a_file):
    link, target = tmp_path / "link", tmp_path / "target"
    if points_to_a_file:
        target.write_text("before")
    link.symlink_to(target)
    with pytest.raises(MrlspkError, match="exists"), whole_file(link, force=False):
        pytest.fail("the link was taken for a free name")
    with whole_file(link, force=True) as partial:
        partial.write_text("new")
    assert (link.read_text(), link.is_symlink()) == ("new", False)
    assert target.exists() == points_to_a_file
    assert not points_to_a_file or target.read_text() == "before"


def test_failed_claim_leaves_no_new_folder(tmp_path):
    def fail():
        with claimed_file(tmp_path / "new" / "deep" / "file.txt", force=False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_error_of_the_work_before_writing_is_not_changed(tmp_path):
    with pytest.raises(PermissionError), claimed_file(tmp_path / "file.txt", force=False):
        raise PermissionError


def fill(path, text, *, force):
    with whole_folder(path, force=force) as partial:
        (partial / "file.txt").write_text(text)


def test_whole_folder_appears_and_replaces_only_with_force(tmp_path):
    folder = tmp_path / "new" / "folder"
    fill(folder, "first", force=False)
    with pytest.raises(MrlspkError, match="appeared meanwhile"):
        fill(folder, "second", force=False)
    assert (folder / "file.txt").read_text() == "first"
    assert (folder.with_name("folder.partial") / "file.txt").read_text() == "second"
    fill(folder, "third", force=True)
    assert (folder / "file.txt").read_text() == "third"
    assert list(folder.parent.iterdir()) == [folder]


def test_failed_folder_keeps_the_folder_before(tmp_path):
    def fail():
        with whole_folder(tmp_path / "folder", force=True) as partial:
            (partial / "half").touch()
            raise OSError(errno.ENOSPC, "No space left on device")

    fill(tmp_path / "folder", "before", force=False)
    with pytest.raises(MrlspkError, match="No space left"):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "file.txt"]


def test_folder_behind_a_link_is_written_where_it_is(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    fill(tmp_path / "link", "new", force=False)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file.txt").read_text() == "new"


def test_loop_of_links_is_no_folder(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(MrlspkError, match="is a loop of symbolic links"):
        fill(tmp_path / "loop", "new", force=True)


def test_folder_killed_between_two_renames_is_cleaned_by_the_next(tmp_path):
    for name in ("folder.partial", "folder.earlier.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text("left")
    fill(tmp_path / "folder", "next", force=False)
    assert {path.parent.name: path.read_text() for path in tmp_path.rglob("*.txt")} == {"folder": "next"}


def test_folder_that_cannot_take_its_place_leaves_the_one_before(tmp_path, monkeypatch):
    rename = Path.rename

    def fail(path, target):
        if target == tmp_path / "folder" and path.name == "folder.partial":
            raise OSError(errno.EIO, "broken")
        return rename(path, target)

    fill(tmp_path / "folder", "before", force=False)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(MrlspkError, match="cannot be written: broken"):
        fill(tmp_path / "folder", "after", force=True)
    assert {path.parent.name: path.read_text() for path in tmp_path.rglob("*.txt")} == {
        "folder": "before",
        "folder.partial": "after",
    }


def test_check_free_accepts_a_new_path_or_force(tmp_path):
    path = tmp_path / "file.txt"
    check_free(path, force=False)
    path.write_text("precious")
    check_free(path, force=True)
    with pytest.raises(MrlspkError, match="exists"):
        check_free(path, force=False)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_folder_or_device_is_not_replaced(tmp_path, make):
    make(tmp_path / "name")
    with pytest.raises(MrlspkError, match="name is in the way"):
        check_free(tmp_path / "name", force=True)


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
