"""Voice indexes on full disks, and after SIGKILL; `scripts/check_index_crashes.py` does this at length."""

import importlib.util
import sys
from pathlib import Path

import pytest

from full_disk import files_up_to, small_disk
from mrlspk.errors import MrlspkError
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.store import VoiceStore
from voice_stores import make_store, new_voice

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_index_crashes.py"


def names(store):
    with store.reading() as snapshot:
        return [voice.name for voice in snapshot.voices()]


def many(count):
    return [new_voice(f"voice {number}", seed=number, recordings=2) for number in range(count)]


def add_until_full(store):
    """Add voices one at a time; return the names of those that were acknowledged, and the error."""
    acknowledged = []
    for voice in many(100):
        try:
            with store.writing() as writer:
                writer.add_voices([voice])
        except MrlspkError as error:
            return acknowledged, error
        acknowledged.append(voice.name)
    raise AssertionError("the disk is not full")


@pytest.mark.process
@pytest.mark.slow
def test_killed_filled_and_read_indexes_stay_whole(monkeypatch, capsys):
    description = importlib.util.spec_from_file_location("check_index_crashes", SCRIPT)
    script = importlib.util.module_from_spec(description)
    monkeypatch.setitem(sys.modules, "check_index_crashes", script)  # its dataclasses look themselves up
    description.loader.exec_module(script)
    monkeypatch.setattr("sys.argv", ["x", "--times=1", "--seconds=1.5", "--readers=2"])
    assert script.main() == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    tallies = [row for row in rows if row[0].startswith("| `")]
    assert [(row[0], row[1], row[3]) for row in tallies] == [
        (f"| `{kind}`", "1", "0") for kind in ("add", "remove", "compact") * 2
    ]
    assert all(int(row[2].replace(",", "")) > 0 for row in tallies[:3])
    (beside,) = (row for row in rows if row[0].startswith("| beside a writer"))
    assert int(beside[1].replace(",", "")) > 10


def test_full_disk_keeps_every_acknowledged_voice(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder) as leave:
        store = make_store(folder / "voices", "ann")
        leave(400 * 1024)
        acknowledged, error = add_until_full(store)
        assert len(acknowledged) > 5
        assert "full" in error.what or "No space left" in error.what
        assert "has room" in error.fix
        assert names(VoiceStore.open(store.folder)) == ["ann", *acknowledged]
        assert {problem.severity for problem in store.check()} <= {"warning"}
        (folder / "filler").unlink()
        with store.writing() as writer:
            writer.add_voices([new_voice("eve", seed=3)])
        assert store.check() == []
        store.close()


@pytest.mark.parametrize("change", ["add", "remove", "compact", "replace_shortlist"])
def test_change_that_does_not_fit_changes_nothing(tmp_path, change):
    """The array files would fit; SQLite's log does not."""
    store = make_store(tmp_path / "voices", "ann", "ben")
    before = names(store)
    size = (store.folder / "index.sqlite-wal").stat().st_size
    with files_up_to(size), pytest.raises(MrlspkError) as caught:
        make_change(store, change)
    assert caught.value.what.startswith("cannot be used:")
    assert names(store) == before
    assert {problem.severity for problem in store.check()} <= {"warning"}
    make_change(store, change)
    assert store.check() == []


def make_change(store, change):
    if change == "compact":
        store.compact()
    elif change == "replace_shortlist":
        store.replace_shortlist(ShortlistSpec("int8", 4))
    else:
        with store.writing() as writer:
            if change == "add":
                writer.add_voices([new_voice("dee", seed=3)])
            else:
                writer.remove(["ann"])


@pytest.mark.parametrize("room", [0, 3, 40])
def test_vectors_that_do_not_fit_change_nothing(tmp_path, room):
    """A row of the array file may be cut anywhere."""
    store = make_store(tmp_path / "voices", "ann", "ben")
    voices = many(4000)
    with files_up_to(2 * 64 + 1000 * 64 + room), pytest.raises(MrlspkError, match="File too large"):
        add(store, voices)
    assert names(store) == ["ann", "ben"]
    add(store, voices[:3])
    assert (len(names(store)), store.check()) == (5, [])


def add(store, voices):
    with store.writing() as writer:
        writer.add_voices(voices)


def test_index_that_does_not_fit_is_not_created(tmp_path):
    with files_up_to(1000), pytest.raises(MrlspkError, match="cannot be used"):
        make_store(tmp_path / "voices")
    assert list(tmp_path.iterdir()) == []
    assert names(make_store(tmp_path / "voices", "ann")) == ["ann"]
