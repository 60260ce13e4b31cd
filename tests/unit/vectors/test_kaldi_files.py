import pickle

import kaldiio
import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.vectors.loading import load_vectors

VECTORS = {"anna-1": np.array([1.5, -2.25, 3.0], np.float32), "ben-1": np.array([0.1, 1e-20, -7.0], np.float32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (1, 3)])
@pytest.mark.parametrize("text", [False, True])
def test_ark_and_scp_of_kaldiio_load(tmp_path, dtype, shape, text):
    entries = {name: vector.astype(dtype).reshape(shape) for name, vector in VECTORS.items()}
    kaldiio.save_ark(str(tmp_path / "v.ark"), entries, scp=str(tmp_path / "v.scp"), text=text)
    for name in ("v.ark", "v.scp"):
        table = load_vectors(tmp_path / name)
        assert table.ids == tuple(VECTORS)
        np.testing.assert_allclose(table.vectors, np.stack(list(VECTORS.values())), rtol=1e-7)


def test_text_vector_that_begins_with_a_whole_number_stays_float(tmp_path):
    (tmp_path / "v.ark").write_text("anna-1  [ 0 0.98 0.5 ]\nben-1  [ 1e-05 0.5 0.25 ]\n")
    np.testing.assert_allclose(load_vectors(tmp_path / "v.ark").vectors, [[0, 0.98, 0.5], [1e-5, 0.5, 0.25]], rtol=1e-6)


def test_ark_is_recognised_under_another_suffix(tmp_path):
    kaldiio.save_ark(str(tmp_path / "binary.1"), VECTORS)
    kaldiio.save_ark(str(tmp_path / "text.1"), VECTORS, text=True)
    assert load_vectors(tmp_path / "binary.1").ids == load_vectors(tmp_path / "text.1").ids == tuple(VECTORS)


def test_scp_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "exp").mkdir()
    monkeypatch.chdir(tmp_path)
    kaldiio.save_ark("exp/v.ark", VECTORS, scp="exp/v.scp")
    assert load_vectors(tmp_path / "exp/v.scp").ids == tuple(VECTORS)
    monkeypatch.chdir("exp")
    with pytest.raises(DataError, match=r"v.scp:1: expected an ark, got no such file: exp/v.ark\n.*working directory"):
        load_vectors(tmp_path / "exp/v.scp")


def test_scp_reads_rows_in_its_own_order_from_several_arks(tmp_path, monkeypatch):
    monkeypatch.setattr("mrlspk.vectors.kaldi_files.OPEN_ARKS", 1)
    for name, vector in VECTORS.items():
        kaldiio.save_ark(str(tmp_path / f"{name}.ark"), {"x": vector, name: vector + 1}, scp=str(tmp_path / name))
    lines = [(tmp_path / name).read_text().splitlines() for name in reversed(VECTORS)]
    (tmp_path / "v.scp").write_text("\n".join([lines[0][1], lines[1][1], lines[0][0].replace("x", "y", 1)]))
    table = load_vectors(tmp_path / "v.scp")
    assert table.ids == ("ben-1", "anna-1", "y")
    expected = [VECTORS["ben-1"] + 1, VECTORS["anna-1"] + 1, VECTORS["ben-1"]]
    np.testing.assert_array_equal(table.vectors, expected)


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)


def test_pickle_in_an_ark_is_not_loaded(tmp_path):
    made = tmp_path / "made"
    (tmp_path / "v.ark").write_bytes(b"anna-1 PKL" + pickle.dumps(Touch(made)))
    with pytest.raises(DataError, match="got a pickle, which is not loaded"):
        load_vectors(tmp_path / "v.ark")
    assert not made.exists()


@pytest.mark.parametrize("entry", ["touch {} |", "| touch {}"])
def test_command_in_an_scp_is_not_run(tmp_path, entry):
    made = tmp_path / "made"
    (tmp_path / "v.scp").write_text(f"anna-1 {entry.format(made)}\n")
    with pytest.raises(DataError, match=r"v.scp:1: expected a file, got a command, which is not run"):
        load_vectors(tmp_path / "v.scp")
    assert not made.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a \0BFV \4\3\0\0\0\0\0\0\0\0", r"v.ark, a: expected 3 values, 12 bytes, got 5"),
        (b"a \0BFV \4\3\0", "expected the size of a vector"),
        (b"a \0BXV \4\3\0\0\0", "expected the header FV, DV, FM or DM, got 'XV '"),
        (b"a \0BCM \4\3\0\0\0", "got a compressed matrix"),
        (b"a \0BFM \4\2\0\0\0\4\1\0\0\0" + bytes(8), "got a matrix of 2 rows"),
        (b"a \0BFV \4\xff\xff\xff\xff", "got a matrix of -1 rows"),
        (b"a \0B\4\1\0\0\0\4\1\0\0\0", "expected a vector of floats, got integers"),
        (b"a  [ 1 2\nb  [ 3", "expected a vector in brackets, got no closing one"),
        (b"a  [ 1 x ]\n", "expected numbers"),
        (b"a  [\n 1 2\n 3 4 ]\n", "got a matrix of 2 rows"),
        (b"a  [ 1 2 ]\nb  [ 1 ]\n", "v.ark, b: expected 2 values, got 1"),
        (b"a  [ ]\n", "expected some values, got 0"),
        (b"a 1 2\n", "expected a vector, got '1 2"),
        (b"\xff\xfe \0BFV \4\0\0\0\0", "expected an id, got"),
        (b"x" * 5000, "v.ark, byte 0: expected '<id> <vector>'"),
        (b"", "empty file"),
    ],
)
def test_malformed_ark_is_an_error_that_names_the_place(tmp_path, content, told):
    (tmp_path / "v.ark").write_bytes(content)
    with pytest.raises(DataError, match=told) as raised:
        load_vectors(tmp_path / "v.ark")
    assert "v.ark" in str(raised.value.where)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a", "v.scp:1: expected '<id> <ark>:<offset>', got 'a'"),
        ("a v.ark:2[0:1]", "expected a whole vector, got a range"),
        ("a gone.ark:2", "got no such file: gone.ark"),
        ("a {}/v.ark:9999", "expected a vector at byte 9999"),
        ("a {}/v.ark:0", "expected a vector, got"),
    ],
)
def test_malformed_scp_is_an_error_that_names_the_line(tmp_path, line, told):
    kaldiio.save_ark(str(tmp_path / "v.ark"), VECTORS)
    (tmp_path / "v.scp").write_text(line.format(tmp_path))
    with pytest.raises(DataError, match=told) as raised:
        load_vectors(tmp_path / "v.scp")
    assert "v.scp:1" in str(raised.value.where)
