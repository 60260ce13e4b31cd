import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mrlspk.errors import MrlspkError, UsageError
from mrlspk.index.funnel.codes import encode
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store import compaction, database
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording
from voice_stores import DIM, make_store, new_voice, unit_vectors

SECRET = new_voice("Secret Näme", seed=50, recordings=3, profiles=2, metadata={"nickname": "Grïmble"})


@pytest.fixture
def store(tmp_path):
    """Voices among which one will be removed; another has profiles that were replaced."""
    store = make_store(tmp_path / "voices", "ann", "ben")
    with store.writing() as writer:
        writer.add_voices([SECRET, new_voice("dee", seed=7, recordings=2)])
        writer.add_recordings("ann", [NewRecording("x")], unit_vectors(1, 30), profiles=unit_vectors(2, 31))
    return store


def secret_parts():
    """Return what must not be left: name, metadata, sources and vectors, as they lie on the disk."""
    texts = [SECRET.name, "Grïmble", *(recording.source for recording in SECRET.recordings)]
    rows = [row.tobytes() for row in np.concatenate([SECRET.vectors, SECRET.profiles])]
    return [text.encode() for text in texts] + rows


def parts_left(folder):
    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return [part for part in secret_parts() if part in content]


def voices_and_vectors(store):
    with store.reading() as snapshot:
        return {
            voice.name: (
                voice.id,
                [recording.source for recording in voice.recordings],
                snapshot.recording_vectors(voice).tolist(),
                snapshot.profiles[snapshot.slots_of([voice.id])].tolist(),
            )
            for voice in snapshot.voices()
        }


def test_no_byte_of_a_removed_voice_is_left(store):
    assert parts_left(store.folder) == secret_parts()
    with store.writing() as writer:
        writer.rename(SECRET.name, "renamed")
        writer.remove(["renamed"])
    assert parts_left(store.folder)  # the log and the arrays have it still
    store.compact()
    assert parts_left(store.folder) == []
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "index.sqlite",
        "index.sqlite-shm",
        "index.sqlite-wal",
        "vectors-2",
    ]


def open_files():
    names = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            names.add(str(descriptor.readlink()))
    return {name for name in names if not name.startswith(("/proc/", "pipe:", "socket:", "anon_inode:"))}


def test_compaction_writes_to_no_other_folder(tmp_path, monkeypatch):
    """SQLite copies a database that it vacuums to a file in the folder of the system, unless told otherwise."""
    seen, connect = set(), database._connect

    def watched(*arguments):
        connection = connect(*arguments)
        connection.set_progress_handler(look, 1000)
        return connection

    def look():
        seen.update(open_files())

    before = open_files()
    monkeypatch.setattr(database, "_connect", watched)
    store = make_store(tmp_path / "voices")
    with store.writing() as writer:
        writer.add_voices(new_voice(f"voice {n}", seed=n, metadata={"note": "x" * 20_000}) for n in range(200))
    store.compact()
    assert {str(store.folder / name) for name in ("index.sqlite", "index.sqlite-wal")} <= seen
    assert {name for name in seen - before if not name.startswith(str(store.folder))} == set()


def n_pages(store):
    with store._database.connection() as connection:
        return connection.execute("PRAGMA page_count").fetchone()[0]


def test_long_metadata_of_many_removed_voices_are_gone(tmp_path):
    """Entries of all sizes, added, changed and removed over many changes, move between the pages of the database."""
    sizes = np.random.default_rng(0).integers(1, 5000, 120).tolist()
    store = make_store(tmp_path / "voices")
    for turn in range(4):
        with store.writing() as writer:
            numbers = range(turn, len(sizes), 4)
            writer.add_voices(
                new_voice(f"voice {n}", seed=n, metadata={"note": f"secret {n} " * (sizes[n] // 10)}) for n in numbers
            )
        with store.writing() as writer:
            for n in range(turn, len(sizes), 8):
                writer.set_metadata(f"voice {n}", {"note": f"secret {n} other " * (sizes[-n] // 16)})
    with store.writing() as writer:
        writer.remove([f"voice {n}" for n in range(len(sizes)) if n % 3])
    pages = n_pages(store)
    store.compact()
    content = b"".join(path.read_bytes() for path in sorted(store.folder.rglob("*")) if path.is_file())
    assert b"secret 3 " in content
    assert [n for n in range(len(sizes)) if n % 3 and f"secret {n} ".encode() in content] == []
    assert n_pages(store) < 0.6 * pages
    assert store.check() == []


def test_other_voices_are_as_they_were(store):
    before = voices_and_vectors(store)
    with store.writing() as writer:
        writer.remove([SECRET.name])
    store.compact()
    after = voices_and_vectors(store)
    assert after == {name: voice for name, voice in before.items() if name != SECRET.name}
    assert voices_and_vectors(VoiceStore.open(store.folder)) == after
    assert store.check() == []
    with store.reading() as snapshot:
        assert (snapshot.slots, snapshot.removed, len(snapshot.profiles)) == (4, None, 4)


def test_compacted_index_takes_voices_again(store):
    store.compact()
    with store.writing() as writer:
        assert writer.add_voices([new_voice("new", seed=8)]) == range(5, 6)
    assert store.check() == []


@pytest.mark.parametrize("name", ["profiles.f32", "recordings.f32"])
def test_damaged_vectors_are_not_copied_as_if_they_were_whole(store, name):
    path = store.folder / "vectors-1" / name
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(MrlspkError, match="are not what was written"):
        store.compact()
    assert [problem.kind for problem in store.check() if problem.kind == "checksum"] == ["checksum"]


def test_index_without_voices_can_be_compacted(tmp_path):
    store = make_store(tmp_path / "voices", "ann")
    with store.writing() as writer:
        writer.remove(["ann"])
    store.compact()
    assert store.check() == []
    with store.reading() as snapshot:
        assert (snapshot.slots, snapshot.n_voices) == (0, 0)


@pytest.mark.parametrize(
    ("spec", "width"),
    [
        (ShortlistSpec("bits", 2 * DIM), DIM),
        (ShortlistSpec("bits", DIM), DIM),
        (ShortlistSpec("int8", 4), 4),
        (ShortlistSpec("float32", DIM), DIM // 2),
    ],
)
def test_narrower_width_cuts_and_normalises_every_vector(tmp_path, spec, width):
    store = make_store(tmp_path / "voices", "ann", "ben", spec=spec)
    with store.writing() as writer:
        writer.add_voices([SECRET])
    store.compact(dim=DIM // 2)
    with VoiceStore.open(store.folder).reading() as snapshot:
        assert (snapshot.settings.embed_dim, snapshot.settings.dims) == (DIM // 2, (DIM // 2,))
        assert snapshot.settings.shortlist == ShortlistSpec(spec.type, width)
        cut = np.concatenate([unit_vectors(1, 0), unit_vectors(1, 1), SECRET.profiles])[:, : DIM // 2]
        assert np.allclose(snapshot.profiles, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-7)
        cut = SECRET.vectors[:, : DIM // 2]
        vectors = snapshot.recording_vectors(snapshot.voice(SECRET.name))
        assert np.allclose(vectors, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-7)
        codes = encode(snapshot.profiles, snapshot.settings.shortlist, snapshot.rotation)
        assert np.array_equal(snapshot.shortlist, codes)
    assert store.check() == []


def test_width_that_the_index_lacks_is_refused(store):
    with pytest.raises(UsageError, match="expected one of the widths 8, 16, got 12"):
        store.compact(dim=12)


def test_reader_of_an_earlier_state_is_told(store):
    with store.writing() as writer:
        writer.remove([SECRET.name])
    hasty = VoiceStore.open(store.folder, patience_seconds=0.05)
    with store.reading() as snapshot:
        with pytest.raises(MrlspkError, match="is compacted, but another process still reads its earlier state"):
            hasty.compact()
        assert snapshot.voice("dee").id == 4
        assert len(snapshot.profiles) == 7
    assert [problem.kind for problem in store.check()] == ["interrupted"]
    store.compact()
    assert (parts_left(store.folder), store.check()) == ([], [])


@pytest.mark.parametrize("step", ["_move", "_delete_remains"])
def test_interrupted_compaction_is_finished_by_the_next(store, monkeypatch, step):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with store.writing() as writer:
        writer.remove([SECRET.name])
    voices = voices_and_vectors(store)
    with monkeypatch.context() as patch:
        patch.setattr(compaction, step, killed)
        with pytest.raises(Killed):
            store.compact()
    assert voices_and_vectors(store) == voices
    assert {problem.severity for problem in store.check()} == {"warning"}
    store.compact()
    assert (voices_and_vectors(store), store.check(), parts_left(store.folder)) == (voices, [], [])


def test_next_change_deletes_what_a_killed_compaction_left(store):
    shutil.copytree(store.folder / "vectors-1", store.folder / "vectors-2")
    assert [problem.where for problem in store.check()] == ["vectors-2"]
    with store.writing() as writer:
        writer.rename("ann", "Ann")
    assert not (store.folder / "vectors-2").exists()


def test_reader_begins_again_when_files_are_deleted_meanwhile(store, monkeypatch):
    from mrlspk.index.store import mapped_arrays

    read_state = mapped_arrays.read_state

    def compacted_after_the_look(connection, folder):
        state = read_state(connection, folder)
        monkeypatch.setattr(mapped_arrays, "read_state", read_state)
        shutil.rmtree(folder / "vectors-1")
        other.execute("UPDATE state SET generation = 2, changes = changes + 1")
        return state

    shutil.copytree(store.folder / "vectors-1", store.folder / "vectors-2")
    other = sqlite3.connect(store.folder / "index.sqlite", isolation_level=None)
    monkeypatch.setattr(mapped_arrays, "read_state", compacted_after_the_look)
    with store.reading() as snapshot:
        assert snapshot.slots == 7
    other.close()
