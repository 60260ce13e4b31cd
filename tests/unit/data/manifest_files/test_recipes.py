"""Files that have the name of a manifest file, and hold something else."""

import pytest

from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.errors import DataError

NEMO = b'{"audio_filepath": "a.wav", "label": "b"}'


@pytest.mark.parametrize(
    ("name", "content", "where", "message"),
    [
        ("a.parquet", b"\x00\x01\x02\x03\x04", "a.parquet", "which is not Parquet"),
        ("a.parquet", b"PAR1 and no more", "a.parquet", "cannot be read as Parquet"),
        ("a.parquet", NEMO, "a.parquet", "begins with b'{\"au', which is not Parquet"),
        ("a.json", b"[" + NEMO + b"]", "a.json:1", "expected a JSON object, got '\\[{"),
        ("a.json", b"\n[\n" + NEMO + b"\n]", "a.json:2", "expected a JSON object, got '\\['"),
        ("a.jsonl", b'{"a": 1, "b": 2}', "a.jsonl:1", "expected a manifest file of mrlspk, got the keys 'a', 'b'"),
        ("a.jsonl", b"", "a.jsonl", "got no line"),
        ("a.jsonl", None, "a.jsonl", "got no such file"),
    ],
)
def test_error_says_what_is_in_place_of_a_manifest(tmp_path, name, content, where, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        scan_corpus(path)
    assert str(caught.value.where) == f"{tmp_path}/{where}"
    assert caught.value.fix


def test_error_names_the_columns_of_another_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"x": [1], "y": [2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="got the columns 'x', 'y'"):
        scan_corpus(tmp_path / "a.parquet")
