import pickle

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from mrlspk.errors import DataError
from mrlspk.vectors.loading import load_vectors

ROWS = [[1.5, -2.25], [3.0, 1e-20]]


def write_parquet(path, *, metadata=None, **columns):
    parquet.write_table(pyarrow.table(columns, metadata=metadata), path, row_group_size=1)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.list_(pyarrow.float32(), 2),
        pyarrow.list_(pyarrow.float64()),
        pyarrow.large_list(pyarrow.float32()),
        pyarrow.list_(pyarrow.float16(), 2),
    ],
)
def test_parquet_of_every_list_type_loads(tmp_path, kind):
    rows = np.array(ROWS, np.float16 if kind.value_type == pyarrow.float16() else np.float32)
    vectors = pyarrow.array(list(rows), kind)
    path = write_parquet(tmp_path / "v.parquet", id=["a/1", "b/1"], x=[1, 2], embedding=vectors)
    table = load_vectors(path)
    assert table.ids == ("a/1", "b/1")
    np.testing.assert_array_equal(table.vectors, rows.astype(np.float32))


def test_parquet_and_jsonl_say_the_fingerprint(tmp_path):
    metadata = {"fingerprint": "f", "speech_detector": ""}
    write_parquet(tmp_path / "v.parquet", metadata=metadata, id=["a/1"], embedding=[[1.0]])
    (tmp_path / "v.jsonl").write_text('{"id": "a/1", "embedding": [1], "fingerprint": "f", "speech_detector": null}\n')
    for name in ("v.parquet", "v.jsonl"):
        table = load_vectors(tmp_path / name)
        assert (table.fingerprint, table.speech_detector) == ("f", "")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"name": ["a"], "embedding": [[1.0]]}, "expected a column id or utterance_id, got name, embedding"),
        ({"id": ["a"], "x": [[1.0]]}, "expected a column embedding or vector, got id, x"),
        ({"id": [1], "embedding": [[1.0]]}, "expected strings in the column id, got int64"),
        ({"id": ["a"], "embedding": [[1]]}, "expected lists of floats in the column embedding"),
        ({"id": ["a"], "embedding": ["1"]}, "expected lists of floats in the column embedding, got string"),
        ({"id": ["a", "b"], "embedding": [[1.0, 2.0], [3.0]]}, "expected 2 values, got 1 in row 1"),
        ({"id": ["a", "b"], "embedding": [[1.0, 2.0], None]}, "expected a vector in every row, got none in row 1"),
        ({"id": ["a", "b"], "embedding": [[1.0, 2.0], [None, 1.0]]}, "expected a number, got none in row 1"),
        ({"id": ["a", None], "embedding": [[1.0], [2.0]]}, "expected an id in every row, got none in row 1"),
        ({"id": ["a"], "embedding": pyarrow.array([[]], pyarrow.list_(pyarrow.float32()))}, "expected some values"),
        ({"id": pyarrow.array([], pyarrow.string()), "embedding": pyarrow.array([], pyarrow.list_(pyarrow.float32()))},
         "empty file"),
    ],
)  # fmt: skip
def test_malformed_parquet_is_an_error_that_names_the_row(tmp_path, columns, told):
    with pytest.raises(DataError, match=told):
        load_vectors(write_parquet(tmp_path / "v.parquet", **columns))


def test_cut_parquet_is_an_error(tmp_path):
    path = write_parquet(tmp_path / "v.parquet", id=["a"], embedding=[[1.0]])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        load_vectors(path)


def test_parquet_whose_texts_are_not_utf8_is_an_error(tmp_path):
    path = write_parquet(tmp_path / "v.parquet", id=["anna", "ben"], embedding=ROWS)
    path.write_bytes(path.read_bytes().replace(b"anna", b"\xff\xff\xff\xff"))
    with pytest.raises(DataError, match="cannot be read as Parquet: 'utf-8'"):
        load_vectors(path)


def test_damaged_pages_of_parquet_are_an_error(tmp_path):
    path = write_parquet(tmp_path / "v.parquet", id=["a", "b"], embedding=ROWS)
    content = bytearray(path.read_bytes())
    content[4:120] = bytes(116)
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        load_vectors(path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "v.jsonl:2: is not JSON"),
        ("[1]", r"expected a JSON object, got \[1\]"),
        ('{"embedding": [1, 2]}', "expected a text under the key id, got the keys embedding"),
        ('{"id": 1, "embedding": [1, 2]}', "expected a text under the key id, got 1"),
        ('{"id": "b", "values": [1]}', "expected numbers under the key embedding, got the keys id, values"),
        ('{"id": "b", "embedding": [1, "2"]}', "expected numbers under the key embedding, got"),
        ('{"id": "b", "embedding": [1, null]}', "expected numbers under the key embedding, got"),
        ('{"id": "b", "embedding": [[1], [2, 3]]}', "expected numbers under the key embedding, got"),
        ('{"id": "b", "embedding": [true, false]}', "expected numbers under the key embedding, got"),
        ('{"id": "b", "embedding": [1]}', "v.jsonl:2: expected 2 values, got 1 of b"),
    ],
)
def test_malformed_jsonl_is_an_error_that_names_the_line(tmp_path, line, told):
    (tmp_path / "v.jsonl").write_text(f'{{"id": "a", "embedding": [1, 2.5]}}\n{line}\n')
    with pytest.raises(DataError, match=told) as raised:
        load_vectors(tmp_path / "v.jsonl")
    assert str(raised.value.where) == f"{tmp_path / 'v.jsonl'}:2"


@pytest.mark.parametrize("name", ["spk2xvector.pkl", "embeddings.npz", "v.pt"])
def test_pickle_is_refused_unread_with_the_way_to_convert(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"a": [1.0]}))
    with pytest.raises(DataError, match="got a pickle\n.*docs/vectors.md"):
        load_vectors(path)


def test_other_files_and_folders_are_refused(tmp_path):
    (tmp_path / "v.h5").write_bytes(b"\x89HDF\r\n")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"expected a vector file \(.npz, .npy, .ark.*got '\\x89HDF"):
        load_vectors(tmp_path / "v.h5")
    with pytest.raises(DataError, match="got a folder"):
        load_vectors(tmp_path)
    with pytest.raises(DataError, match="empty file"):
        load_vectors(tmp_path / "empty.jsonl")
