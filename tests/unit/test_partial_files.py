import errno
import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mrlspk.errors import MrlspkError
from mrlspk.files import check_free, one_at_a_time, whole_file, whole_folder
from mrlspk.partial_files import locked_partial, partial_path, remove_left_files
from mrlspk.workflows.make_demo import make_demo

KILLED = """
import os, signal, sys
from pathlib import Path
from mrlspk.files import whole_file
with whole_file(Path(sys.argv[1]), force=False) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_second_writer_is_told_of_the_first(tmp_path):
    path = tmp_path / "file.txt"
    with whole_file(path, force=False) as partial:
        partial.write_text("first")
        with pytest.raises(MrlspkError, match="another process is writing it"), whole_file(path, force=True):
            pytest.fail("two write one file")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_second_writer_of_a_folder_is_told_of_the_first(tmp_path):
    folder = tmp_path / "folder"
    with whole_folder(folder, force=False) as partial:
        (partial / "first").touch()
        with pytest.raises(MrlspkError, match="another process is writing it"), whole_folder(folder, force=True):
            pytest.fail("two write one folder")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "first"]


def test_killed_writer_leaves_only_its_partial_file_which_is_named(tmp_path, caplog):
    path, left = tmp_path / "file.txt", tmp_path / "file.txt.partial"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {left.name: "half"}
    with whole_file(path, force=False) as partial:
        assert partial.read_text() == ""
    assert f"{left}: left by a process that was killed; removed" in caplog.text
    assert list(tmp_path.iterdir()) == [path]


def test_writer_killed_when_its_file_has_two_names_loses_nothing(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("whole")
    os.link(path, tmp_path / "file.txt.partial")

    def fail():
        with whole_file(path, force=True) as partial:
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MrlspkError, match="No space"):
        fail()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"file.txt": "whole"}


def test_partial_that_becomes_the_file_meanwhile_is_not_taken(tmp_path, monkeypatch):
    path, partial = tmp_path / "file.txt", tmp_path / "file.txt.partial"
    partial.write_text("of another process")
    flock = fcntl.flock

    def finish_first(descriptor, how):
        if partial.exists() and partial.read_text():
            partial.rename(path)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", finish_first)
    with pytest.raises(MrlspkError, match="exists"), whole_file(path, force=False):
        pytest.fail("the file exists")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"file.txt": "of another process"}


def test_partial_of_a_third_process_is_not_taken(tmp_path, monkeypatch):
    path, partial = tmp_path / "file.txt", tmp_path / "file.txt.partial"
    partial.write_text("of a second process")
    flock, third = fcntl.flock, []

    def finish_first(descriptor, how):
        if not third:
            partial.rename(path)
            path.unlink()
            third.append(partial.open("w"))
            flock(third[0], how)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", finish_first)
    with pytest.raises(MrlspkError, match="another process is writing it"), whole_file(path, force=False):
        pytest.fail("it is written by a third process")
    third[0].close()
    assert list(tmp_path.iterdir()) == [partial]


@pytest.mark.parametrize("is_folder", [False, True])
def test_without_locks_the_partial_itself_is_the_lock(tmp_path, monkeypatch, is_folder):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked_partial(tmp_path / "name", is_folder=is_folder) as first:
        with (
            pytest.raises(MrlspkError, match="may be writing") as caught,
            locked_partial(tmp_path / "name", is_folder=is_folder),
        ):
            pytest.fail("two write one file")
        assert str(first.path) in caught.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_the_way", ["link", "folder"])
def test_what_is_no_partial_file_stays(tmp_path, in_the_way):
    (tmp_path / "target").write_text("precious")
    partial = tmp_path / "file.txt.partial"
    if in_the_way == "link":
        partial.symlink_to(tmp_path / "target")
    else:
        partial.mkdir()
    with pytest.raises(MrlspkError, match="is in the way") as caught, whole_file(tmp_path / "file.txt", force=True):
        pytest.fail("it was taken")
    assert caught.value.where == partial
    assert partial.exists()
    assert (tmp_path / "target").read_text() == "precious"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder in which nothing can be created")
def test_folder_that_takes_no_files_is_an_error():
    with pytest.raises(MrlspkError, match="cannot be written"), whole_file(Path("/proc/file.txt"), force=False):
        pytest.fail("there is such a file")


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "x" * 247])
def test_long_name_has_a_partial_that_fits(tmp_path, name):
    with whole_file(tmp_path / name, force=False) as partial:
        partial.write_text("whole")
        assert partial.name.endswith(".partial")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_long_names_of_one_beginning_have_different_partials(tmp_path):
    assert partial_path(tmp_path / ("x" * 254 + "1")) != partial_path(tmp_path / ("x" * 254 + "2"))


@pytest.fixture
def shared_folder():
    """A folder of two users; ``as_other()`` makes this process the second one."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    with TemporaryDirectory() as name:  # that of pytest is closed to others
        yield Path(name)


@contextmanager
def another_user():
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o777, 0o1777], ids=["plain", "sticky"])
def test_another_user_sees_who_writes(shared_folder, mode):
    shared_folder.chmod(mode)
    path = shared_folder / "file.txt"
    with whole_file(path, force=False) as partial:
        partial.write_text("of root")
        second = whole_file(path, force=True)
        with another_user(), pytest.raises(MrlspkError, match="another process is writing it"), second:
            pytest.fail("two write one file")
    assert path.read_text() == "of root"


def test_another_user_of_a_shared_folder_takes_its_locks(shared_folder):
    shared_folder.chmod(0o777)
    with one_at_a_time(shared_folder / ".locks" / "one.lock", on_wait=lambda: None):
        pass
    with another_user(), one_at_a_time(shared_folder / ".locks" / "two.lock", on_wait=lambda: None):
        pass
    with another_user(), one_at_a_time(shared_folder / ".locks" / "one.lock", on_wait=lambda: None):
        pass


def test_partial_of_another_user_is_removed_where_that_is_allowed(shared_folder):
    shared_folder.chmod(0o777)
    path, left = shared_folder / "file.txt", shared_folder / "file.txt.partial"
    left.write_text("half")
    with another_user(), whole_file(path, force=False) as partial:
        partial.write_text("whole")
    assert (path.read_text(), path.stat().st_uid) == ("whole", 65534)
    assert not left.exists()


@pytest.mark.parametrize("take", [check_free, make_demo])
def test_path_that_a_user_may_not_look_at_is_an_error(shared_folder, take):
    shared_folder.chmod(0o777)
    closed = shared_folder / "closed"
    (closed / "inside").mkdir(parents=True)
    closed.chmod(0o700)
    (shared_folder / "link").symlink_to(closed / "inside")
    sizes = {"n_train_speakers": 2, "n_test_speakers": 2, "n_utterances": 2, "seed": 0} if take is make_demo else {}
    with another_user(), pytest.raises(MrlspkError, match="cannot be written: Permission denied"):
        take(shared_folder / "link", force=True, **sizes)


def test_partial_of_another_user_that_stays_is_named(shared_folder):
    shared_folder.chmod(0o1777)
    path, left = shared_folder / "file.txt", shared_folder / "file.txt.partial"
    left.write_text("half")
    second = whole_file(path, force=False)
    with another_user(), pytest.raises(MrlspkError, match="of another user is in the way") as caught, second:
        pytest.fail("it was taken")
    assert caught.value.where == left
    assert list(shared_folder.iterdir()) == [left]


def test_left_files_are_removed_but_not_what_is_written(tmp_path):
    for name in ("last.pt.partial", ".best.pt.123.partial", "last.pt"):
        (tmp_path / name).touch()
    (tmp_path / "report.partial").mkdir()
    (tmp_path / "link.partial").symlink_to("last.pt")
    with locked_partial(tmp_path / "scores.npz", is_folder=False):
        remove_left_files(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"last.pt", "report.partial", "link.partial", "scores.npz.partial"}


def test_left_files_are_removed_where_there_are_no_locks(tmp_path, monkeypatch):
    (tmp_path / "last.pt.partial").touch()

    def refuse(_descriptor, _operation):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    remove_left_files(tmp_path)
    assert not list(tmp_path.iterdir())
