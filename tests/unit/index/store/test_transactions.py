import os
from pathlib import Path

import pytest

from mrlspk.errors import MrlspkError
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store import database
from mrlspk.index.store.store import VoiceStore
from voice_stores import make_store, new_voice


@pytest.fixture
def events(monkeypatch):
    """Record, in their order, what is written to a file, what is synced and what is committed."""
    events = []
    fsync, pwrite, connect = os.fsync, os.pwrite, database._connect

    def name(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def recorded_fsync(descriptor):
        events.append(("sync", name(descriptor)))
        fsync(descriptor)

    def recorded_pwrite(descriptor, content, offset):
        events.append(("write", name(descriptor)))
        return pwrite(descriptor, content, offset)

    def recorded_connect(*arguments):
        connection = connect(*arguments)
        connection.set_trace_callback(lambda sql: events.append(("sql", sql)) if sql in {"COMMIT", "VACUUM"} else None)
        return connection

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "pwrite", recorded_pwrite)
    monkeypatch.setattr(database, "_connect", recorded_connect)
    return events


def lost_by_power_failure(events):
    """Return what a commit relies on and a loss of power before the next event could take away."""
    unsynced = set()
    for kind, what in events:
        if kind == "write":
            unsynced.add(what)
        elif kind == "sync":
            unsynced.discard(what)
        elif what == "COMMIT" and unsynced:
            return unsynced
    return set()


@pytest.mark.parametrize("change", ["add", "compact", "replace_shortlist"])
def test_vectors_and_names_are_on_the_disk_before_the_commit(tmp_path, events, change):
    store = make_store(tmp_path / "voices", "ann")
    with store.writing() as writer:
        writer.add_voices([new_voice("dee", seed=1, recordings=2)])
    if change == "compact":
        events.clear()
        store.compact()
    elif change == "replace_shortlist":
        events.clear()
        store.replace_shortlist(ShortlistSpec("int8", 4))
    generation = "vectors-2" if change == "compact" else "vectors-1"
    written = {what for kind, what in events if kind == "write"}
    assert (
        written
        == {
            "add": {"profiles.f32", "shortlist.bits.16", "recordings.f32"},
            "compact": {"profiles.f32", "shortlist.bits.16", "recordings.f32"},
            "replace_shortlist": {"shortlist.int8.4"},
        }[change]
    )
    assert lost_by_power_failure(events) == set()
    until_commit = events[: events.index(("sql", "COMMIT"))]
    names = [generation] if change == "replace_shortlist" else [generation, "voices"]
    assert all(("sync", name) in until_commit for name in names)


def test_database_waits_for_the_disk_at_each_commit(tmp_path):
    store = make_store(tmp_path / "voices")
    with store._database.connection() as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
        assert pragmas == [2, "wal"]
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_error_in_the_block_leaves_the_index_as_it_was(tmp_path):
    store = make_store(tmp_path / "voices", "ann")

    def change_and_fail():
        with store.writing() as writer:
            writer.add_voices([new_voice("dee", seed=1)])
            writer.remove(["ann"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert (store.folder / "vectors-1" / "profiles.f32").stat().st_size == 64  # the disk may be full
    with store.reading() as snapshot:
        assert [voice.name for voice in snapshot.voices()] == ["ann"]
    with store.writing() as writer:
        writer.add_voices([new_voice("eve", seed=2)])
    assert store.check() == []
    assert (store.folder / "vectors-1" / "profiles.f32").stat().st_size == 2 * 64


def test_missing_vectors_stop_readings_and_changes(tmp_path):
    store = make_store(tmp_path / "voices", "ann")
    path = store.folder / "vectors-1" / "profiles.f32"
    path.unlink()
    for use in (VoiceStore.open(store.folder).reading, store.writing):
        with pytest.raises(MrlspkError, match="No such file or directory"), use():
            pass
    assert not path.exists()


def test_addition_writes_its_own_rows_alone(tmp_path, monkeypatch):
    store = make_store(tmp_path / "voices", *(f"voice {number}" for number in range(500)))
    written, pwrite = [], os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda *given: written.append(pwrite(*given)) or written[-1])
    with store.writing() as writer:
        writer.add_voices([new_voice("dee", seed=1)])
    assert written == [16 * 4, 8]
