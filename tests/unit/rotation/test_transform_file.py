from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.rotation.transform import fit_transform
from mrlspk.rotation.transform_file import check_transform_suffix, load_transform, save_transform

PAGE = Path(__file__).parents[3] / "docs" / "matryoshka.md"


@pytest.fixture
def transform():
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    return fit_transform(vectors, np.arange(40) % 8, centre=True, flatten=0.2, order="scatter", dims=(2, 4))


def test_saved_transform_loads_as_it_was(transform, tmp_path):
    whole, cut = {"speech": "all"}, {"speech": "auto", "speech_detector": "energy-1"}
    for each in (transform, replace(transform, fingerprint="abc", **whole), replace(transform, **cut)):
        save_transform(each, tmp_path / "t.npz", force=True)
        again = load_transform(tmp_path / "t.npz")
        assert all(np.array_equal(getattr(again, name), getattr(each, name)) for name in ("mean", "matrix", "scales"))
        assert (again.dims, again.summary(), again.fingerprint) == ((2, 4, 6), each.summary(), each.fingerprint)
        assert (again.speech, again.speech_detector) == (each.speech, each.speech_detector)


def test_four_lines_of_numpy_apply_a_file(transform, tmp_path, monkeypatch):
    save_transform(transform, tmp_path / "transform.npz", force=False)
    monkeypatch.chdir(tmp_path)
    lines = PAGE.read_text().partition("\nt = ")[2].partition("```")[0]
    vectors = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    names = {"np": np, "vectors": vectors, "dim": 4}
    exec(f"t = {lines}", names)  # noqa: S102 - the page's own lines
    expected = transform.apply(vectors)[:, :4]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert len(lines.splitlines()) == 4
    assert names["narrow"] == pytest.approx(expected, abs=1e-6)


def test_existing_file_stays_without_force(transform, tmp_path):
    (tmp_path / "t.npz").write_text("mine")
    with pytest.raises(MrlspkError):
        save_transform(transform, tmp_path / "t.npz", force=False)
    assert (tmp_path / "t.npz").read_text() == "mine"


def test_only_npz_is_written():
    check_transform_suffix(Path("t.npz"))
    with pytest.raises(UsageError, match=r"ends in \.npz"):
        check_transform_suffix(Path("t.pt"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": None}, "without mean"),
        ({"mean": np.zeros(5)}, "do not fit"),
        ({"mean": np.zeros(0), "scales": np.zeros(0), "matrix": np.zeros((0, 0))}, "do not fit"),
        ({"matrix": np.eye(6, dtype=np.float32)}, "expected finite float64 of 2 axes as matrix"),
        ({"scales": np.full(6, np.inf)}, "expected finite float64 of 1 axes as scales"),
        ({"dims": np.array([4, 2, 6])}, "rising widths up to 6"),
        ({"dims": np.array([2, 4])}, "rising widths up to 6"),
        ({"dims": np.array([2.5, 6])}, "expected integers"),
        ({"flatten": np.array(0.7)}, "a power from 0 to 0.5"),
        ({"flatten": np.array("x")}, "holds no transform"),
        ({"order": np.array("size")}, "expected energy or scatter"),
        ({"speech": np.array("half")}, "expected auto, silero, all as speech, got 'half'"),
        ({"mean": np.array([None] * 6)}, "expected a transform"),
    ],
)
def test_damaged_file_is_refused(transform, tmp_path, change, message):
    path = tmp_path / "t.npz"
    save_transform(transform, path, force=False)
    arrays = {**np.load(path)} | change
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(DataError, match=message) as raised:
        load_transform(path)
    assert raised.value.where == path


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_other_file_is_refused(tmp_path, content):
    path = tmp_path / "t.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected a transform"):
        load_transform(path)
    with pytest.raises(DataError, match="No such file"):
        load_transform(tmp_path / "absent.npz")
