import tracemalloc

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.vectors.loading import FORMATS, load_vectors, open_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

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
    blocks = list(open_vectors(tmp_path / "v.npz").blocks())
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
        (_save_object_ids, r"expected ids as texts \(n,\), got pickled Python objects, which are not loaded"),
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


def test_damaged_header_of_an_array_is_an_error(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "v.ids.txt").write_text("a/1\na/2\nb/1\n")
    content = (tmp_path / "v.npy").read_bytes()
    for damaged in (content.replace(b"'descr'", b"'desc\x1a'"), content.replace(b"'descr'", b"\x1adescr'")):
        (tmp_path / "v.npy").write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read as an .npy file"):
            load_vectors(tmp_path / "v.npy")


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_loading_needs_one_copy_of_memory(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("mrlspk.vectors.table.BLOCK_VALUES", 1 << 16)
    vectors = np.ones((20_000, 100), np.float32)
    save_vectors(VectorTable(tuple(map(str, range(20_000))), vectors), tmp_path / f"v{suffix}", force=False)
    tracemalloc.start()
    table = load_vectors(tmp_path / f"v{suffix}")
    peak = tracemalloc.get_traced_memory()[1] - 20_000 * 200  # ids
    tracemalloc.stop()
    assert peak < 1.3 * table.vectors.nbytes


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_files_raise_no_other_error(tmp_path, suffix):
    save_vectors(VectorTable(IDS, VECTORS), tmp_path / f"v{suffix}", force=False)
    content, generator = (tmp_path / f"v{suffix}").read_bytes(), np.random.default_rng(0)
    n_refused = 0
    for first, length in generator.integers(0, (len(content), 12), size=(24, 2)):
        damaged = content[:first] + generator.bytes(length) + content[first + 2 * length :]
        (tmp_path / f"v{suffix}").write_bytes(damaged)
        try:
            load_vectors(tmp_path / f"v{suffix}")
        except DataError:
            n_refused += 1
    assert n_refused > 12
