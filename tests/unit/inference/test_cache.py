"""The file of the embedding cache: its entries, damage, full disks and locks."""

import contextlib
import hashlib
import sqlite3
import tracemalloc

import numpy as np
import pytest

from mrlspk.inference.audio_content import FileState
from mrlspk.inference.cache import FILE_NAME, EmbeddingCache
from mrlspk.inference.cache_entries import pack_entry
from mrlspk.inference.recording import EmbeddedRecording, TooShort

KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(200)]
ENTRIES = {key: EmbeddedRecording(np.full(64, number, np.float32), float(number)) for number, key in enumerate(KEYS)}
FILES = {b"/a\xff.wav": (FileState(1, 2**62, 3), b"s" * 32)}


@pytest.fixture
def cache(tmp_path):
    """A cache that holds entries."""
    cache = EmbeddingCache(tmp_path / "deep" / "cache")
    cache.write(ENTRIES, FILES)
    cache.close()
    return cache


def values(found):
    return {key: float(entry.vector[0]) for key, entry in found.items()}


ALL = {key: float(number) for number, key in enumerate(KEYS)}


def test_written_entries_are_found_now_and_when_opened_again(cache):
    for each in (cache, EmbeddingCache(cache.folder)):
        assert values(each.find([*KEYS, b"absent"])) == ALL
        assert each.find_files([b"/a\xff.wav", b"/b.wav"]) == FILES
        each.close()


def test_more_keys_than_fit_one_query_are_found(cache, monkeypatch):
    monkeypatch.setattr("mrlspk.inference.cache.KEYS_PER_QUERY", 7)
    assert values(cache.find(KEYS)) == ALL


def test_entry_is_replaced(cache):
    cache.write({KEYS[0]: EmbeddedRecording(np.full(64, 7, np.float32), 1.0)}, {})
    assert values(cache.find(KEYS[:1])) == {KEYS[0]: 7.0}


def change(path):
    return contextlib.closing(sqlite3.connect(path, isolation_level=None))


def damage_text(path):
    path.write_text("this is not a database\n" * 100)


def damage_cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_header(path):
    path.write_bytes(path.read_bytes()[:50])


def damage_middle(path):
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def damage_other_tables(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE embeddings (x)")
        other.execute("CREATE TABLE hashed_files (y)")


def damage_view(path):
    with change(path) as other:
        other.execute("ALTER TABLE embeddings RENAME TO hidden")
        other.execute(
            "CREATE VIEW embeddings AS WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) "
            "SELECT n AS key, n AS packed FROM endless"
        )


def damage_trigger(path):
    with change(path) as other:
        other.execute("CREATE TRIGGER t AFTER INSERT ON embeddings BEGIN DELETE FROM embeddings; END")


@pytest.mark.parametrize(
    "damage",
    [damage_text, damage_cut, damage_header, damage_middle, damage_other_tables, damage_view, damage_trigger],
)
def test_damaged_file_is_renamed_with_one_warning_and_replaced(cache, damage, caplog):
    path = cache.folder / FILE_NAME
    damage(path)
    damaged = path.read_bytes()
    again = EmbeddingCache(cache.folder)
    assert again.find(KEYS) == {}
    again.write(ENTRIES, FILES)
    assert values(again.find(KEYS)) == ALL
    again.close()
    assert [record.getMessage().count("is damaged") for record in caplog.records] == [1]
    assert {record.name for record in caplog.records} == {"mrlspk.encoding"}
    assert str(path) in caplog.text
    assert (cache.folder / f"{FILE_NAME}.damaged").read_bytes() == damaged
    caplog.clear()
    assert values(EmbeddingCache(cache.folder).find(KEYS)) == ALL
    assert not caplog.records


def test_empty_file_becomes_a_new_cache(cache, caplog):
    (cache.folder / FILE_NAME).write_bytes(b"")
    again = EmbeddingCache(cache.folder)
    assert again.find(KEYS) == {}
    again.write(ENTRIES, FILES)
    assert values(again.find(KEYS)) == ALL
    assert not caplog.records


def test_damaged_entry_is_left_out_with_a_warning_and_replaceable(cache, caplog):
    path = cache.folder / FILE_NAME
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE embeddings SET packed = 'short' WHERE key = ?", KEYS[:1])
        other.execute("UPDATE embeddings SET packed = zeroblob(600) WHERE key = ?", KEYS[1:2])
        other.execute(f"UPDATE embeddings SET packed = zeroblob({1 << 21}) WHERE key = ?", KEYS[2:3])
        other.execute("UPDATE embeddings SET packed = 5 WHERE key = ?", KEYS[3:4])
        other.execute("UPDATE embeddings SET packed = x'ff' || 'text' WHERE key = ?", KEYS[4:5])
    assert set(cache.find(KEYS)) == set(KEYS[5:])
    assert "5 damaged entries" in caplog.text
    cache.write(ENTRIES, {})
    assert values(cache.find(KEYS)) == ALL


def test_file_that_another_process_renamed_is_not_renamed_again(cache, caplog):
    path = cache.folder / FILE_NAME
    cache.find(KEYS)
    damage_text(path)
    path.rename(cache.folder / "set-aside-by-another")
    EmbeddingCache(cache.folder).write(ENTRIES, {})
    assert values(cache.find(KEYS)) == ALL  # of the new file, where the one that was open is damaged
    assert not (cache.folder / f"{FILE_NAME}.damaged").exists()
    assert not caplog.records


@pytest.mark.parametrize("obstacle", ["file in place of the folder", "folder in place of the file"])
def test_unusable_folder_warns_once(tmp_path, caplog, obstacle):
    folder = tmp_path / "cache"
    if obstacle.startswith("file"):
        folder.write_text("in the way")
    else:
        (folder / FILE_NAME).mkdir(parents=True)
    cache = EmbeddingCache(folder)
    for _ in range(2):
        assert cache.find(KEYS) == {}
        cache.write(ENTRIES, FILES)
        cache.close()
    assert len(caplog.records) == 1
    assert f"embeddings are not cached: {folder}" in caplog.text


def test_read_only_file_warns_once_and_is_still_read(cache, caplog):
    path = cache.folder / FILE_NAME
    cache.find(KEYS)
    cache._database._connection.execute("PRAGMA query_only = ON")  # SQLite's own refusal of a read-only file
    more = {b"more": TooShort(1.0)}
    for _ in range(2):
        cache.write(more, {})
        assert values(cache.find(KEYS)) == ALL
    assert [record.getMessage() for record in caplog.records] == [
        f"embeddings are not cached: {path}: attempt to write a readonly database"
    ]


def test_full_disk_warns_once_and_keeps_the_old_entries(cache, caplog):
    cache.find(KEYS)
    connection = cache._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then answers as on a full disk
    cache.write({bytes([0, number]): EmbeddedRecording(np.zeros(20_000, np.float32), 1.0) for number in range(9)}, {})
    cache.write({b"more": TooShort(1.0)}, {})
    assert [record.getMessage().endswith("database or disk is full") for record in caplog.records] == [True]
    cache.close()
    assert values(EmbeddingCache(cache.folder).find([*KEYS, bytes([0, 0]), b"more"])) == ALL


def test_lock_that_is_never_released_warns_once_and_continues(cache, caplog, monkeypatch):
    monkeypatch.setattr("mrlspk.inference.cache.BUSY_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(cache.folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        cache.write({b"more": TooShort(1.0)}, {})
        assert values(cache.find(KEYS)) == ALL
    assert [record.getMessage().endswith("database is locked") for record in caplog.records] == [True]


def test_swapped_entries_are_left_out(cache, caplog):
    with change(cache.folder / FILE_NAME) as other:
        first, second = (other.execute("SELECT packed FROM embeddings WHERE key = ?", [key]) for key in KEYS[:2])
        other.executemany(
            "UPDATE embeddings SET packed = ? WHERE key = ?",
            [(*second.fetchone(), KEYS[0]), (*first.fetchone(), KEYS[1])],
        )
    assert set(cache.find(KEYS)) == set(KEYS[2:])
    assert "2 damaged entries" in caplog.text


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE hashed_files SET packed = (SELECT packed FROM hashed_files WHERE key = x'62') WHERE key = x'61'",
        "UPDATE hashed_files SET packed = CAST(replace(packed, '[1,', '[2,') AS BLOB) WHERE key = x'61'",
        "UPDATE hashed_files SET packed = 7 WHERE key = x'61'",
    ],
)
def test_edited_and_swapped_files_are_unknown(cache, caplog, edit):
    files = {name: (FileState(1, 2, 3), name * 32) for name in (b"a", b"b")}
    cache.write({}, files)
    with change(cache.folder / FILE_NAME) as other:
        assert other.execute(edit).rowcount == 1
    assert cache.find_files(files) == {b"b": files[b"b"]}
    assert "1 damaged entries" in caplog.text


def make_old(path):
    """Make the file as mrlspk 0.1.0 did."""
    path.parent.mkdir(parents=True)
    with change(path) as old:
        old.execute("CREATE TABLE embeddings (key BLOB PRIMARY KEY, packed BLOB NOT NULL)")
        old.execute(
            "CREATE TABLE files "
            "(path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 BLOB) WITHOUT ROWID"
        )
        packed = [(key, pack_entry(key, entry)) for key, entry in ENTRIES.items()]
        old.executemany("INSERT INTO embeddings VALUES (?, ?)", packed)
        old.execute("INSERT INTO files VALUES (?, 1, 2, 3, ?)", (b"/a", b"s" * 32))


def test_old_cache_keeps_its_embeddings_and_forgets_its_files(tmp_path, caplog):
    make_old(tmp_path / "cache" / FILE_NAME)
    cache = EmbeddingCache(tmp_path / "cache")
    assert values(cache.find(KEYS)) == ALL
    assert cache.find_files([b"/a"]) == {}
    cache.write({}, FILES)
    assert cache.find_files(FILES) == FILES
    assert not caplog.records


def test_old_cache_still_finds_its_own_files(tmp_path):
    path = tmp_path / "cache" / FILE_NAME
    make_old(path)
    EmbeddingCache(path.parent).write({b"new": TooShort(1.0)}, FILES)
    with change(path) as old:
        assert old.execute("SELECT path, size, sha256 FROM files").fetchall() == [(b"/a", 1, b"s" * 32)]
        old.execute("INSERT OR REPLACE INTO files VALUES (?, 1, 2, 3, ?)", (b"/b", b"t" * 32))


def test_old_cache_that_is_read_only_is_still_read(tmp_path, caplog, monkeypatch):
    path = tmp_path / "cache" / FILE_NAME
    make_old(path)
    connect = sqlite3.connect
    monkeypatch.setattr(
        "sqlite3.connect", lambda place, **options: connect(f"file:{place}?mode=ro", uri=True, **options)
    )
    cache = EmbeddingCache(path.parent)
    assert values(cache.find(KEYS)) == ALL
    assert cache.find_files([b"/a"]) == {}
    cache.write({}, FILES)
    assert values(cache.find(KEYS)) == ALL
    assert [record.getMessage().startswith("embeddings are not cached") for record in caplog.records] == [True]


def test_huge_value_is_not_read_into_memory(cache):
    with change(cache.folder / FILE_NAME) as other:
        other.execute(f"UPDATE embeddings SET packed = zeroblob({1 << 26}) WHERE key = ?", KEYS[:1])
    tracemalloc.start()
    try:
        assert cache.find(KEYS[:1]) == {}
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
