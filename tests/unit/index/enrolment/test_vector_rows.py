"""Vector files, streamed by voice."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.index.enrolment import vector_rows
from mrlspk.index.enrolment.vector_files import read_voices, voices_of
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.voices import NewRecording
from mrlspk.vectors.table import Origin, RecordingFacts, VectorFile


def vector_file(tmp_path, ids, vectors, *, block=3):
    def blocks():
        for first in range(0, len(ids), block):
            yield tuple(ids[first : first + block]), np.array(vectors[first : first + block], np.float32)

    return VectorFile(tmp_path / "v.npy", blocks, len(ids))


def settings(dim, fingerprint=None):
    spec = ShortlistSpec("bits", dim)
    return IndexSettings(
        embed_dim=dim, dims=(dim,), shortlist=spec, created="2026", mrlspk_version="1", fingerprint=fingerprint
    )


@pytest.fixture(params=[1 << 26, 8])
def values_at_once(request, monkeypatch):
    """Read in one pass, and in several."""
    monkeypatch.setattr(vector_rows, "VALUES_AT_ONCE", request.param)


@pytest.mark.parametrize("order", [range(10), [3, 0, 7, 1, 9, 2, 8, 4, 6, 5]])
@pytest.mark.usefixtures("values_at_once")
def test_voices_have_all_their_rows_in_whatever_order_the_file_has_them(tmp_path, order):
    ids = [f"{name}/{number}" for number, name in enumerate("aaabbbbccd")]
    vectors = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    file = vector_file(tmp_path, [ids[row] for row in order], vectors[list(order)])
    voices = {each.name: each for each in read_voices(file, settings(4)).groups(4)}
    assert {name: len(each.ids) for name, each in voices.items()} == {"a": 3, "b": 4, "c": 2, "d": 1}
    for each in voices.values():
        rows = [ids.index(id_) for id_ in each.ids]
        assert rows == [row for row in order if row in rows]
        unit = vectors[rows] / np.linalg.norm(vectors[rows], axis=1, keepdims=True)
        np.testing.assert_allclose(each.vectors, unit, atol=1e-6)


def test_wider_vectors_of_the_same_model_are_cut_and_others_refused(tmp_path):
    file = replace(vector_file(tmp_path, ["a/1"], [[3, 4, 100]]), origin=Origin("model"))
    (voice,) = read_voices(file, settings(2, "model")).groups(2)
    np.testing.assert_allclose(voice.vectors, [[0.6, 0.8]], atol=1e-7)
    with pytest.raises(DataError, match="expected 2 values a vector, got 3"):
        read_voices(file, settings(2))


@pytest.mark.parametrize(("count", "of"), [(None, "1 of the first 3"), (4, "1 of the first 3"), (3, "1 of 3")])
def test_ids_without_a_speaker_are_counted_among_those_read(tmp_path, count, of):
    blocks = [((ids), np.ones((len(ids), 2), np.float32)) for ids in (("a/1", "a/2"), ("b",))]
    with pytest.raises(DataError, match=rf"{of} ids have no speaker, such as b"):
        read_voices(VectorFile(tmp_path / "v", lambda: iter(blocks), count), settings(2))


@pytest.mark.parametrize(
    ("ids", "row", "what"),
    [
        (["a/1", "b"], [1, 2], "ids have no speaker, such as b"),
        (["a/1", "b/1"], [np.nan, 1], "finite"),
        (["a/1", "b/1"], [0, 0], "zeros"),
        (["a/1", "b/1"], [1], "expected 2 values"),
        (["a/1", "b/\ud800"], [1, 2], "UTF-8"),
    ],
)
def test_unusable_row_is_refused_before_any_voice_is_taken(tmp_path, ids, row, what):
    blocks = [((ids[0],), np.array([[1, 2]], np.float32)), ((ids[1],), np.array([row], np.float32))]
    with pytest.raises(DataError, match=what):
        read_voices(VectorFile(tmp_path / "v", lambda: iter(blocks)), settings(2))


def test_speakers_file_names_the_voices(tmp_path):
    (tmp_path / "utt2spk").write_text("u1 ann\nu2 bob\nu3 ann\n")
    file = vector_file(tmp_path, ["u1", "u2", "u3"], np.eye(3))
    voices = list(read_voices(file, settings(3), speakers=tmp_path / "utt2spk").groups(3))
    assert [(each.name, each.ids) for each in voices] == [("ann", ("u1", "u3")), ("bob", ("u2",))]


@pytest.mark.parametrize("mixed", [False, True])
def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch, mixed):
    monkeypatch.setattr(vector_rows, "VALUES_AT_ONCE", 1 << 18)
    n, dim = 20_000, 128  # 10 MB
    row = np.random.default_rng(0).standard_normal((1000, dim)).astype(np.float32)

    def blocks():
        for first in range(0, n, 1000):
            numbers = range(first, first + 1000)
            yield tuple(f"{(number % 5000) if mixed else number // 4}/{number}" for number in numbers), row

    rows = read_voices(VectorFile(tmp_path / "v", blocks), settings(dim))
    tracemalloc.start()
    seen = sum(len(voice.ids) for voice in rows.groups(dim))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == n
    assert peak < 6e6


@pytest.mark.parametrize("mixed", [False, True])
def test_rows_without_speech_are_refused_and_others_keep_their_facts(tmp_path, mixed):
    ids = ["a/1", "b/1", "a/2", "b/2", "c/1"] if mixed else ["a/1", "a/2", "b/1", "b/2", "c/1"]
    known = {
        "a/1": RecordingFacts(9.0, 7.0, ()),
        "a/2": RecordingFacts(9.0, 0.5, ("short",)),
        "b/1": RecordingFacts(9.0, None, ("quiet",)),
        "b/2": RecordingFacts(9.0, 8.0, ()),
        "c/1": RecordingFacts(9.0, 0.0, ("silent",)),
    }
    vectors = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    file = replace(vector_file(tmp_path, ids, vectors), facts=lambda: iter([known[id_] for id_ in ids]))
    rows = read_voices(file, settings(2), min_speech_seconds=1.0)
    assert {(each.name, each.source) for each in rows.refused} == {("a", "a/2"), ("c", "c/1")}
    voices = {each.name: each for each in voices_of(rows, 2)}
    assert voices.keys() == {"a", "b"}
    assert voices["a"].recordings == (NewRecording("a/1", 9.0, 7.0),)
    assert voices["b"].recordings == (NewRecording("b/1", 9.0, None, ("quiet",)), NewRecording("b/2", 9.0, 8.0))
    places = [ids.index("b/1"), ids.index("b/2")]
    np.testing.assert_allclose(voices["b"].vectors, vectors[places] / np.linalg.norm(vectors[places], axis=1)[:, None])
