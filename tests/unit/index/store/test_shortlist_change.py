import numpy as np
import pytest

from mrlspk.index.funnel.codes import encode
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store import shortlist_change
from mrlspk.index.store.store import VoiceStore
from voice_stores import DIM, make_store, new_voice


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "voices", "ann", "ben", "cid")


def files(store):
    return sorted(path.name for path in (store.folder / "vectors-1").iterdir())


@pytest.mark.parametrize("spec", [ShortlistSpec("int8", 4, 7), ShortlistSpec("float32", 8, 7)])
def test_codes_are_made_again_in_a_new_file(store, spec):
    with store.reading() as before:
        store.replace_shortlist(spec)
    with VoiceStore.open(store.folder).reading() as snapshot:
        assert (snapshot.settings.shortlist, snapshot.rotation) == (spec, None)
        assert np.array_equal(snapshot.shortlist, encode(snapshot.profiles, spec, None))
    assert before.shortlist.shape == (3, 8)
    assert files(store) == ["profiles.f32", "recordings.f32", f"shortlist.{spec.type}.{spec.dim}"]
    with store.writing() as writer:
        writer.add_voices([new_voice("dee", seed=5)])
    assert store.check() == []


def test_bits_come_back_with_their_rotation(store):
    with store.reading() as before:
        codes, rotation = np.array(before.shortlist), before.rotation
    store.replace_shortlist(ShortlistSpec("int8", 4))
    store.replace_shortlist(ShortlistSpec("bits", DIM))
    with store.reading() as after:
        assert np.array_equal(after.shortlist, codes)
        assert np.array_equal(after.rotation, rotation)


def test_other_number_of_candidates_keeps_the_file(store):
    inode = (store.folder / "vectors-1" / "shortlist.bits.16").stat().st_ino
    store.replace_shortlist(ShortlistSpec("bits", DIM, 2))
    with store.reading() as snapshot:
        assert snapshot.settings.shortlist.candidates == 2
    assert (store.folder / "vectors-1" / "shortlist.bits.16").stat().st_ino == inode
    assert store.check() == []


def test_empty_index_changes_its_shortlist(tmp_path):
    store = make_store(tmp_path / "voices")
    store.replace_shortlist(ShortlistSpec("int8", 4))
    with store.writing() as writer:
        writer.add_voices([new_voice("dee", seed=5)])
    assert store.check() == []


def test_interrupted_replacement_leaves_the_old_shortlist(store, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shortlist_change, "sync_folder", full)
    with pytest.raises(Exception, match="No space left on device"):
        store.replace_shortlist(ShortlistSpec("int8", 4))
    with store.reading() as snapshot:
        assert snapshot.settings.shortlist.type == "bits"
        assert np.array_equal(
            snapshot.shortlist, encode(snapshot.profiles, ShortlistSpec("bits", DIM), snapshot.rotation)
        )
    assert [(problem.kind, problem.where) for problem in store.check()] == [("leftover", "vectors-1/shortlist.int8.4")]
