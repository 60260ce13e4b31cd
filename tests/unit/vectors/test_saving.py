import json

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.vectors.loading import FORMATS, load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

TABLE = VectorTable(("a/1", "b/ü"), np.array([[1.5, -0.1], [3e38, 1e-42]], np.float32), "f", "", (1, 2))
SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=4)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_back_ids_and_values(tmp_path, suffix):
    @settings(max_examples=15, deadline=None)
    @given(arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_subnormal=False)))
    def check(vectors):
        ids = tuple(f"s{index}/ü" for index in range(len(vectors)))
        save_vectors(VectorTable(ids, vectors), tmp_path / f"v{suffix}", force=True)
        table = load_vectors(tmp_path / f"v{suffix}")
        assert table.ids == ids
        np.testing.assert_array_equal(table.vectors, vectors)

    check()


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".jsonl"])
def test_formats_with_room_for_it_keep_the_origin(tmp_path, suffix):
    save_vectors(TABLE, tmp_path / f"v{suffix}", force=False)
    table = load_vectors(tmp_path / f"v{suffix}")
    assert (table.fingerprint, table.speech_detector, table.dims) == ("f", "", (1, 2))


def test_kaldiio_reads_ark_and_scp(tmp_path, caplog):
    paths = save_vectors(TABLE, tmp_path / "v.scp", force=False)
    assert paths == (tmp_path / "v.scp", tmp_path / "v.ark")
    for found in (dict(kaldiio.load_ark(str(tmp_path / "v.ark"))), dict(kaldiio.load_scp(str(tmp_path / "v.scp")))):
        assert tuple(found) == TABLE.ids
        np.testing.assert_array_equal(np.stack(list(found.values())), TABLE.vectors)
    assert "holds no fingerprint" in caplog.text


def test_numpy_reads_npz_and_npy_and_json_reads_jsonl(tmp_path):
    for suffix in (".npz", ".npy", ".jsonl"):
        save_vectors(TABLE, tmp_path / f"v{suffix}", force=False)
    with np.load(tmp_path / "v.npz") as arrays_:
        np.testing.assert_array_equal(arrays_["embeddings"], TABLE.vectors)
        assert tuple(arrays_["ids"]) == TABLE.ids
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), TABLE.vectors)
    assert (tmp_path / "v.ids.txt").read_text() == "a/1\nb/ü\n"
    lines = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [np.float32(line["embedding"]).tolist() for line in lines] == TABLE.vectors.tolist()


def test_existing_file_of_either_name_stays_without_force(tmp_path):
    (tmp_path / "v.scp").write_text("mine")
    with pytest.raises(MrlspkError, match="v.scp: exists"):
        save_vectors(TABLE, tmp_path / "v.ark", force=False)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("v.scp", "mine")]


@pytest.mark.parametrize("id_", ["a 1", "a\n1", ""])
def test_id_that_a_text_file_cannot_hold_is_refused(tmp_path, id_):
    table = VectorTable((id_, "b"), TABLE.vectors)
    for suffix in (".npy", ".ark", ".scp"):
        with pytest.raises(DataError, match="cannot hold"):
            save_vectors(table, tmp_path / f"v{suffix}", force=False)
    save_vectors(table, tmp_path / "v.npz", force=False)
    assert load_vectors(tmp_path / "v.npz").ids == (id_, "b")
    assert [each.name for each in tmp_path.iterdir()] == ["v.npz"]


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"ends in .npz, .npy, .ark, .scp, .parquet, .jsonl, got v.csv"):
        save_vectors(TABLE, tmp_path / "v.csv", force=False)
