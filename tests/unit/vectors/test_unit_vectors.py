"""Vectors of several files at unit length."""

from pathlib import Path

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.vectors import unit_vectors
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable
from mrlspk.vectors.unit_vectors import load_unit_vectors

A = VectorTable(("a/1", "a/2", "b/1"), np.array([[3, 4], [0, 2], [-5, 0]], np.float32), "model", "silero-6")
B = VectorTable(("c/1", "c/2"), np.array([[1, 1], [6, 8]], np.float32))


@pytest.fixture
def save(tmp_path):
    def write(name, table):
        save_vectors(table, tmp_path / name, force=True)
        return tmp_path / name

    return write


def test_rows_of_several_files_follow_each_other(save):
    found = load_unit_vectors([save("a.npz", A), save("b.ark", B)])
    assert found.ids == A.ids + B.ids
    assert found.find(["c/2", "a/1", "b/1"]).tolist() == [4, 0, 2]
    expected = [[0.6, 0.8], [0.6, 0.8], [-1, 0], [0, 1]]
    np.testing.assert_allclose(found.rows(np.array([4, 0, 2, 1])), expected, atol=1e-7)
    assert (found.origin.fingerprint, found.origin.speech_detector) == ("model", "silero-6")


def test_vectors_are_scaled_where_they_were_read(save, monkeypatch):
    read = []
    monkeypatch.setattr(unit_vectors, "load_vectors", lambda path: read.append(load_vectors(path)) or read[-1])
    found = load_unit_vectors([save("a.npz", A), save("b.npz", B)])
    assert all(part is table.vectors for part, table in zip(found.parts, read, strict=True))
    assert found.rows(np.array([0])).tolist() == [pytest.approx([0.6, 0.8])]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (VectorTable(("c/1",), np.ones((1, 3), np.float32)), "expected 2 values a vector, as in {a}, got 3"),
        (VectorTable(("c/1",), B.vectors[:1], "other"), "expected vectors of the model model, as in {a}, got other"),
        (VectorTable(("c/1",), B.vectors[:1], None, ""), "expected embeddings of silero-6, as in {a}, got whole recor"),
        (VectorTable(("b/1",), B.vectors[:1]), "expected other ids than in {a}, got b/1"),
        (VectorTable(("c/1", "c/1"), B.vectors), "c/1: expected each id once, got it 2 times"),
        (VectorTable(("c/1",), np.zeros((1, 2), np.float32)), "c/1: expected a direction, got zeros only"),
        (VectorTable(("c/1",), np.full((1, 2), np.nan, np.float32)), "c/1: expected finite values, got 2 that are not"),
    ],
)
def test_file_that_does_not_fit_is_named(save, table, told):
    a, b = save("a.npz", A), save("b.npz", table)
    with pytest.raises(DataError) as caught:
        load_unit_vectors([a, b])
    assert caught.value.where == b
    assert told.format(a=a) in caught.value.what


def test_third_file_is_compared_with_all_that_is_known(save):
    other = VectorTable(("d/1",), B.vectors[:1], "other")
    paths: list[Path] = [save("b.npz", B), save("a.npz", A), save("d.npz", other)]
    with pytest.raises(DataError, match="expected vectors of the model model"):
        load_unit_vectors(paths)
