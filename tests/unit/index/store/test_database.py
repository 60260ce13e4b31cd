import os
import sqlite3
import stat
import threading

import pytest

from full_disk import read_only, small_disk
from mrlspk.errors import MrlspkError
from mrlspk.index.store.store import VoiceStore
from voice_stores import make_store, new_voice


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "voices", "ann", "ben")


def n_voices(store):
    with store.reading() as snapshot:
        return snapshot.n_voices


def test_folder_without_an_index_is_refused(tmp_path):
    absent = tmp_path / "absent"
    for folder, what, new in ((tmp_path, "is not a voice index", "DIR"), (absent, "no such folder", absent)):
        with pytest.raises(MrlspkError, match=what) as caught:
            VoiceStore.open(folder)
        assert caught.value.fix == f"To make an index: mrlspk index create {new}"
        assert not (folder / "index.sqlite").exists()


def test_other_database_is_no_index(tmp_path):
    connection = sqlite3.connect(tmp_path / "index.sqlite")
    connection.execute("CREATE TABLE voices (id)")
    connection.close()
    with pytest.raises(MrlspkError, match="is not a voice index"):
        VoiceStore.open(tmp_path)


def test_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "index.sqlite").write_bytes(b"x" * 4096)
    with pytest.raises(MrlspkError, match="is damaged: file is not a database") as caught:
        VoiceStore.open(tmp_path)
    assert caught.value.where == tmp_path / "index.sqlite"


def test_newer_schema_is_refused_with_a_way_out(store):
    store.close()
    connection = sqlite3.connect(store.folder / "index.sqlite")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(MrlspkError, match="expected an index of schema version 1, got version 2") as caught:
        VoiceStore.open(store.folder)
    assert "newer" in caught.value.fix


def test_trigger_in_a_file_from_elsewhere_is_refused(store):
    connection = sqlite3.connect(store.folder / "index.sqlite")
    connection.execute("CREATE TRIGGER t AFTER DELETE ON voices BEGIN DELETE FROM state; END")
    connection.close()
    with pytest.raises(MrlspkError, match="is not a voice index"):
        VoiceStore.open(store.folder)


def test_only_the_owner_may_use_the_files(tmp_path):
    before = os.umask(0)
    try:
        store = make_store(tmp_path / "voices", "ann")
        with store.writing() as writer:
            writer.add_voices([new_voice("dee", seed=1, recordings=2)])
            writer.remove(["ann"])
            paths = {path.name: path for path in store.folder.rglob("*")}
            modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in paths.items()}
        store.compact()
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert modes == {
        "index.sqlite": 0o600,
        "index.sqlite-shm": 0o600,
        "index.sqlite-wal": 0o600,
        "vectors-1": 0o700,
        "profiles.f32": 0o600,
        "recordings.f32": 0o600,
        "shortlist.bits.16": 0o600,
    }
    assert store.check() == []


@pytest.mark.parametrize("is_closed", [True, False])
def test_folder_that_is_read_only_can_be_searched(store, is_closed):
    """Closed, the log is gone; open, another process has it."""
    if is_closed:
        store.close()
    assert (store.folder / "index.sqlite-wal").exists() != is_closed
    with read_only(store.folder):
        other = VoiceStore.open(store.folder)
        assert n_voices(other) == 2
        assert [problem for problem in other.check() if problem.kind != "mode"] == []


def test_index_on_a_full_disk_can_be_searched(tmp_path):
    with small_disk(tmp_path) as leave:
        make_store(tmp_path / "voices", "ann", "ben").close()
        leave(0)
        with VoiceStore.open(tmp_path / "voices") as store:
            assert n_voices(store) == 2
            with pytest.raises(MrlspkError, match="has room"), store.writing():
                pass


def test_change_in_a_read_only_folder_is_refused(store):
    store.close()
    with read_only(store.folder), pytest.raises(MrlspkError, match="readonly"), VoiceStore.open(store.folder).writing():
        pass


def test_reader_of_a_read_only_folder_sees_later_changes(store):
    store.close()
    with read_only(store.folder):
        reader = VoiceStore.open(store.folder)
        assert n_voices(reader) == 2
    with VoiceStore.open(store.folder) as other, other.writing() as writer:
        writer.add_voices([new_voice("dee", seed=5)])
    with read_only(store.folder):
        assert n_voices(reader) == 3


def test_log_that_cannot_be_read_is_not_ignored(store, tmp_path):
    """Without its log, the file would show an earlier state."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("index.sqlite", "index.sqlite-wal"):
        (copy / name).write_bytes((store.folder / name).read_bytes())
    with read_only(copy), pytest.raises(MrlspkError, match="cannot be used"):
        VoiceStore.open(copy)


def test_second_writer_is_told_when_its_patience_ends(store):
    hasty = VoiceStore.open(store.folder, patience_seconds=0.05)
    with store.writing() as writer:
        with pytest.raises(MrlspkError, match="another process is changing the index"), hasty.writing():
            pass
        writer.remove(["ann"])
    with hasty.writing() as writer:
        writer.remove(["ben"])
    assert n_voices(store) == 0


def test_reader_without_patience_reads_beside_a_writer(store):
    impatient = VoiceStore.open(store.folder, patience_seconds=0)
    with store.writing() as writer:
        writer.remove(["ann"])
        writer.add_voices(new_voice(f"voice {number}", seed=number, recordings=2) for number in range(50))
        assert n_voices(impatient) == 2
    assert n_voices(impatient) == 51


def test_second_writer_waits_for_the_first(store):
    def add():
        with VoiceStore.open(store.folder).writing() as writer:
            writer.add_voices([new_voice("dee", seed=5)])

    with store.writing() as writer:
        waiting = threading.Thread(target=add)
        waiting.start()
        writer.add_voices([new_voice("eve", seed=6)])
        waiting.join(0.1)
        assert waiting.is_alive()
    waiting.join()
    assert (n_voices(store), store.check()) == (4, [])


def test_threads_may_share_a_store(store):
    found = []

    def read():
        for _ in range(20):
            with store.reading() as snapshot:
                found.append(len(list(snapshot.voices())))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 80


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_uses_connections_of_its_own(store):
    with store._database.connection() as of_parent:
        pass
    child = os.fork()
    if child == 0:
        with store._database.connection() as connection, store.writing() as writer:
            writer.add_voices([new_voice("dee", seed=5)])
        os._exit(0 if connection is not of_parent and n_voices(store) == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert n_voices(store) == 3
