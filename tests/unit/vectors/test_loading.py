import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.vectors.loading import load_vectors, vector_blocks

IDS = "a/1", "a/2", "b/1"
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


def test_npz_loads_with_its_origin(tmp_path):
    np.savez(tmp_path / "v.npz", ids=np.array(IDS), embeddings=VECTORS, fingerprint=np.array("f"), dims=[2, 4])
    table = load_vectors(tmp_path / "v.npz")
    assert table.ids == IDS
    assert (table.fingerprint, table.speech_detector, table.dims, table.dim) == ("f", None, (2, 4), 4)
    np.testing.assert_array_equal(table.vectors, VECTORS)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_of_other_floats_and_orders_loads(tmp_path, dtype, order):
    stored = np.asarray(VECTORS.astype(dtype), order=order)
    np.savez_compressed(tmp_path / "v.npz", ids=np.array(IDS, "S"), embeddings=stored)
    table = load_vectors(tmp_path / "v.npz")
    assert table.ids == IDS
    assert table.vectors.dtype == np.float32
    np.testing.assert_array_equal(table.vectors, stored.astype(np.float32))


def test_npy_loads_with_ids_beside_it_and_given(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "v.ids.txt").write_text("a/1\na/2\nb/1\n")
    (tmp_path / "other").write_text("x\ny\r\nz")
    assert load_vectors(tmp_path / "v.npy").ids == IDS
    assert load_vectors(tmp_path / "v.npy", ids=tmp_path / "other").ids == ("x", "y", "z")


def test_blocks_hold_every_row_once(tmp_path, monkeypatch):
    monkeypatch.setattr("mrlspk.vectors.table.BLOCK_VALUES", 8)
    np.savez(tmp_path / "v.npz", ids=np.array(IDS), embeddings=VECTORS)
    blocks = list(vector_blocks(tmp_path / "v.npz"))
    assert [ids for ids, _ in blocks] == [IDS[:2], IDS[2:]]
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in blocks]), VECTORS)
    np.testing.assert_array_equal(load_vectors(tmp_path / "v.npz").vectors, VECTORS)


def _save_objects(path):
    np.savez(path, ids=np.array(IDS), embeddings=np.array([[1.0], [2.0], [{}]], object))


def _save_object_ids(path):
    np.savez(path, ids=np.array(IDS, object), embeddings=VECTORS)


def _cut_short(path):
    np.savez(path, ids=np.array(IDS), embeddings=VECTORS)
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("save", "told"),
    [
        (lambda path: np.savez(path, ids=np.array(IDS)), "expected the arrays ids and embeddings, got ids"),
        (lambda path: np.savez(path, ids=np.array(IDS[:2]), embeddings=VECTORS), "each of 3 vectors, got 2 ids"),
        (lambda path: np.savez(path, ids=np.array(IDS), embeddings=VECTORS[0]), r"got float32 of shape \(4,\)"),
        (lambda path: np.savez(path, ids=np.array(IDS), embeddings=VECTORS.astype(int)), "got int64 of shape"),
        (lambda path: np.savez(path, ids=np.arange(3), embeddings=VECTORS), "expected ids as texts"),
        (lambda path: np.savez(path, ids=np.array([], str), embeddings=VECTORS[:0]), r"shape \(0, 4\)"),
        (_save_objects, "pickled Python objects, which are not loaded"),
        (_save_object_ids, "Object arrays cannot be loaded"),
        (_cut_short, "cannot be read as an .npz file: File is not a zip file"),
        (lambda path: path.write_bytes(b"text"), "cannot be read as an .npz file: File is not a zip"),
        (lambda _: None, "No such file"),
    ],
)
def test_malformed_npz_is_an_error_that_names_it(tmp_path, save, told):
    path = tmp_path / "v.npz"
    save(path)
    with pytest.raises(DataError, match=told) as raised:
        load_vectors(path)
    assert raised.value.where == path


def test_npy_whose_data_ends_early_is_an_error(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "v.ids.txt").write_text("a/1\na/2\nb/1\n")
    (tmp_path / "v.npy").write_bytes((tmp_path / "v.npy").read_bytes()[:-4])
    with pytest.raises(DataError, match="expected 48 bytes for 3 vectors of 4 values, got 44"):
        load_vectors(tmp_path / "v.npy")


def test_npy_without_ids_or_with_too_few_is_an_error(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    with pytest.raises(DataError, match=r"v.ids.txt: cannot be read: No such file.*\n.*`ids=FILE`"):
        load_vectors(tmp_path / "v.npy")
    (tmp_path / "v.ids.txt").write_text("a/1\n\nb/1\n")
    with pytest.raises(DataError, match=r"v.ids.txt:2: expected an id, got an empty line"):
        load_vectors(tmp_path / "v.npy")
    (tmp_path / "v.ids.txt").write_text("a/1\nb/1\n")
    with pytest.raises(DataError, match="each of 3 vectors, got 2 ids"):
        load_vectors(tmp_path / "v.npy")
