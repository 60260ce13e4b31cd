import os
import shutil
import sqlite3

import numpy as np
import pytest

from mrlspk.errors import MrlspkError
from mrlspk.index.store.store import VoiceStore
from voice_stores import make_store, new_voice


@pytest.fixture
def store(tmp_path):
    """Seven slots, of which one is removed, and five recording vectors."""
    store = make_store(tmp_path / "voices", "ann", "ben", "cid")
    with store.writing() as writer:
        writer.add_voices([new_voice("dee", seed=7, recordings=3, profiles=2), new_voice("eve", seed=8, recordings=2)])
    with store.writing() as writer:
        writer.remove(["ben"])
    store.close()
    return VoiceStore.open(store.folder)


def run_sql(store, *statements):
    connection = sqlite3.connect(store.folder / "index.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def overwrite(store, name, offset, content):
    with (store.folder / "vectors-1" / name).open("r+b") as file:
        file.seek(offset)
        file.write(content)


def told(store):
    """Return the problems as (kind, where, message)."""
    return [(problem.kind, problem.where, problem.message) for problem in VoiceStore.open(store.folder).check()]


def test_intact_index_has_no_problem(store):
    assert told(store) == []


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("UPDATE state SET voices = 9", "count", "expected 9 voices, got 4"),
        ("UPDATE state SET recordings = 9", "count", "expected 9 recordings, got 7"),
        ("DELETE FROM voices WHERE name = 'eve'", "database", "row 5 of profiles belongs to no voice"),
        ("DELETE FROM recordings WHERE voice_id = 1", "voice", "voice 'ann' has no recording"),
        ("DELETE FROM profiles WHERE voice_id = 1", "voice", "voice 'ann' has no profile"),
        ("DELETE FROM profiles WHERE voice_id = 1", "slot", "slot 0 belongs to no voice and is not removed"),
        ("INSERT INTO profiles VALUES (1, 1)", "slot", "slot 1 is both removed and that of a voice"),
        ("UPDATE profiles SET slot = 60 WHERE slot = 0", "slot", "slot 60 is not in the files"),
        ("UPDATE removed SET slots = x'ff'", "slot", "slot 1 belongs to no voice and is not removed"),
        (
            "UPDATE recordings SET vector_row = NULL WHERE vector_row = 1",
            "voice",
            "voice 'dee' has a recording without a vector",
        ),
        (
            "UPDATE recordings SET vector_row = 5 WHERE vector_row = 4",
            "voice",
            "voice 'eve' has a recording whose vector is not in the file",
        ),
        (
            "UPDATE recordings SET vector_row = 3 WHERE vector_row = 4",
            "voice",
            "voice 'eve' has a recording with the vector of another one",
        ),
        ("UPDATE voices SET metadata = '[1]'", "voice", "voice 'ann' has metadata that are no JSON object"),
        ("UPDATE voices SET metadata = '{'", "voice", "voice 'ann' has metadata that are no JSON object"),
        ("UPDATE segments SET crc32 = 1 WHERE first_row = 3", "checksum", "rows 3 to 5 are not what was written"),
        ("DELETE FROM segments WHERE first_row = 0", "checksum", "rows 0 to 2 have no checksum"),
        ("DELETE FROM segments WHERE first_row = 3", "checksum", "rows 3 to 5 have no checksum"),
    ],
)
def test_contradiction_in_the_database_is_told(store, statement, kind, message):
    run_sql(store, statement)
    assert (kind, message) in {(found, text) for found, _, text in told(store)}


@pytest.mark.parametrize("statement", ["DELETE FROM state", "DELETE FROM settings", "UPDATE settings SET value = '{}'"])
def test_lost_state_is_told_by_check_and_reading(store, statement):
    run_sql(store, statement)
    ((kind, where, message),) = told(store)
    assert (kind, where) == ("database", "index.sqlite")
    assert message.startswith("its state or settings cannot be understood")
    with pytest.raises(MrlspkError, match="cannot be understood"), VoiceStore.open(store.folder).reading():
        pass


def test_lost_table_is_told(store):
    run_sql(store, "DROP TABLE recordings")
    assert ("database", "index.sqlite", "no such table: recordings") in told(store)


def test_damaged_page_is_told(store):
    path = store.folder / "index.sqlite"
    (page,) = sqlite3.connect(path).execute("SELECT rootpage FROM sqlite_master WHERE name = 'voices'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(64))
    assert "database" in {kind for kind, _, _ in told(store)}


@pytest.mark.parametrize("name", ["profiles.f32", "recordings.f32", "shortlist.bits.16"])
def test_changed_byte_is_told_with_the_rows_of_its_append(store, name):
    content = (store.folder / "vectors-1" / name).read_bytes()
    overwrite(store, name, len(content) - 8, bytes([content[-8] ^ 4]))
    rows = "0 to 4" if name == "recordings.f32" else "3 to 5"
    assert ("checksum", f"vectors-1/{name}", f"rows {rows} are not what was written") in told(store)


def test_vector_of_another_length_is_told(store):
    overwrite(store, "profiles.f32", 2 * 64, np.zeros(16, np.float32).tobytes())
    assert ("length", "vectors-1/profiles.f32", "row 2 is not of unit length") in told(store)


def test_code_of_another_profile_is_told(store):
    overwrite(store, "shortlist.bits.16", 4 * 8, b"\x55\xaa")
    assert ("code", "vectors-1/shortlist.bits.16", "row 4 is not the code of its profile") in told(store)


@pytest.mark.parametrize("name", ["profiles.f32", "recordings.f32", "shortlist.bits.16"])
def test_missing_and_short_files_are_told(store, name):
    path = store.folder / "vectors-1" / name
    size = path.stat().st_size
    os.truncate(path, size - 1)
    assert ("file", f"vectors-1/{name}", f"expected {size:,} bytes, got {size - 1:,}") in told(store)
    path.unlink()
    assert ("file", f"vectors-1/{name}", "cannot be read: No such file or directory") in told(store)


def test_many_problems_of_a_kind_are_counted(tmp_path):
    with make_store(tmp_path / "many", *(f"voice {number}" for number in range(130))) as store:
        pass
    overwrite(store, "profiles.f32", 0, bytes(130 * 64))
    messages = [message for kind, _, message in told(store) if kind == "length"]
    assert (len(messages), messages[-2], messages[-1]) == (101, "row 99 is not of unit length", "and 30 more")


def test_all_problems_are_told_at_once(store):
    run_sql(store, "UPDATE state SET voices = 9", "UPDATE voices SET metadata = '{'")
    shutil.rmtree(store.folder / "vectors-1")
    kinds = [kind for kind, _, _ in told(store)]
    assert kinds == ["count", *["voice"] * 4, *["file"] * 3]


def test_leftovers_are_warnings_until_the_next_change(store):
    (store.folder / "vectors-2").mkdir(mode=0o700)
    overwrite(store, "recordings.f32", 5 * 64, b"abc")
    problems = store.check()
    assert [(each.kind, each.severity, each.where) for each in problems] == [
        ("leftover", "warning", "vectors-1/recordings.f32"),
        ("leftover", "warning", "vectors-2"),
    ]
    assert problems[0].message == "has 3 bytes left by an interrupted change; the next change deletes them"
    with store.writing() as writer:
        writer.rename("ann", "Ann")
    assert store.check() == []


def test_foreign_file_is_told(store):
    store.folder.joinpath("notes.txt").touch(mode=0o600)
    store.folder.joinpath("vectors-old").mkdir(mode=0o700)
    with store.writing() as writer:
        writer.rename("ann", "Ann")
    assert told(store) == [
        ("foreign", "notes.txt", "is no file of an index"),
        ("foreign", "vectors-old", "is no file of an index"),
    ]


def test_files_that_others_may_read_are_told(store):
    (store.folder / "vectors-1" / "profiles.f32").chmod(0o644)
    assert told(store) == [
        ("mode", "vectors-1/profiles.f32", "others than its owner may use it (mode 0644)"),
    ]


def test_files_of_a_change_under_way_are_no_leftovers(store):
    with store.writing() as writer:
        writer.add_voices([new_voice("new", seed=9)])
        assert VoiceStore.open(store.folder).check() == []
