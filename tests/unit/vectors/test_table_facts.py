"""Seconds, speech and warnings of recordings in files of `mrlspk embed`."""

import json

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.vectors.loading import open_vectors
from mrlspk.vectors.table import RecordingFacts

IDS = ["a/1", "b/1"]
SAID = [RecordingFacts(3.0, 2.5, ()), RecordingFacts(4.0, None, ("quiet", "short"))]


def write_npz(path, **columns):
    known = {"seconds": np.array([3.0, 4]), "speech_seconds": np.array([2.5, np.nan]), "warnings": ["", "quiet, short"]}
    np.savez(path, ids=IDS, embeddings=np.eye(2, dtype=np.float32), **(known | columns))


def write_jsonl(path):
    lines = [
        {"id": id_, "seconds": each.seconds, "speech_seconds": each.speech_seconds, "warnings": list(each.warnings)}
        for id_, each in zip(IDS, SAID, strict=True)
    ]
    path.write_text("".join(json.dumps(line | {"embedding": [0.5, 1]}) + "\n" for line in lines))


def write_parquet(path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "id": IDS,
        "seconds": [each.seconds for each in SAID],
        "speech_seconds": [each.speech_seconds for each in SAID],
        "warnings": [list(each.warnings) for each in SAID],
        "embedding": pyarrow.array([[0.5, 1], [1, 0.5]], pyarrow.list_(pyarrow.float32(), 2)),
    }
    parquet.write_table(pyarrow.table(columns), path)


@pytest.mark.parametrize("write", [write_npz, write_jsonl, write_parquet], ids=["npz", "jsonl", "parquet"])
def test_file_says_seconds_speech_and_warnings_of_each_row(tmp_path, write):
    path = tmp_path / f"v.{write.__name__.removeprefix('write_')}"
    write(path)
    assert list(open_vectors(path).facts()) == SAID


def test_file_without_these_columns_says_nothing(tmp_path):
    np.savez(tmp_path / "v.npz", ids=IDS, embeddings=np.eye(2, dtype=np.float32))
    assert open_vectors(tmp_path / "v.npz").facts is None


@pytest.mark.parametrize(
    "columns", [{"seconds": np.array([3.0])}, {"warnings": [1, 2]}, {"speech_seconds": np.array([{}, {}], object)}]
)
def test_columns_of_another_kind_are_an_error_of_the_file(tmp_path, columns):
    write_npz(tmp_path / "v.npz", **columns)
    with pytest.raises(DataError, match=r"v\.npz"):
        list(open_vectors(tmp_path / "v.npz").facts())


def test_odd_line_is_named(tmp_path):
    write_jsonl(tmp_path / "v.jsonl")
    text = (tmp_path / "v.jsonl").read_text().replace('["quiet", "short"]', "3")
    (tmp_path / "v.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"v\.jsonl:2"):
        list(open_vectors(tmp_path / "v.jsonl").facts())
