"""Scans with faiss: the same rows as NumPy lists, and the choice between the two."""

import sys

import numpy as np
import pytest

from mrlspk.errors import MissingDependencyError
from mrlspk.index.funnel import faiss_scan
from mrlspk.index.funnel.arrays import FunnelArrays
from mrlspk.index.funnel.codes import encode, encode_queries, random_rotation
from mrlspk.index.funnel.faiss_scan import scan_with_faiss, takes_faiss
from mrlspk.index.funnel.nearest import NearestRows
from mrlspk.index.funnel.numpy_scan import bit_distances, code_distances, scan
from mrlspk.index.shortlist import ShortlistSpec


def arrays_of(spec, *, slots=2500, dim=64):
    voices = np.random.default_rng(0).standard_normal((slots, dim)).astype(np.float32)
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    rotation = random_rotation(dim, 0) if spec.type == "bits" else None
    return FunnelArrays(voices, encode(voices, spec, rotation), spec, rotation)


@pytest.mark.parametrize(
    "spec", [ShortlistSpec("bits", 64), ShortlistSpec("int8", 64), ShortlistSpec("int8", 24)], ids=str
)
@pytest.mark.parametrize("wanted", [1, 50, 1700, 2500])
@pytest.mark.parametrize("hidden", [0, 0.1])
def test_faiss_and_numpy_list_the_same_rows(spec, wanted, hidden):
    arrays = arrays_of(spec)
    live = None if not hidden else np.random.default_rng(1).random(arrays.slots) >= hidden
    queries = encode_queries(arrays.profiles[:4], spec, arrays.rotation)
    nearest = [NearestRows(wanted, np.inf) for _ in queries]
    scan(arrays.codes, (bit_distances if spec.type == "bits" else code_distances)(queries), nearest, live)
    for ours, theirs in zip(nearest, scan_with_faiss(arrays, queries, wanted, live), strict=True):
        np.testing.assert_array_equal(ours.rows(), theirs)


def test_a_radius_that_a_sample_makes_too_small_is_widened(monkeypatch):
    monkeypatch.setattr(faiss_scan, "_SAMPLES", 1)
    monkeypatch.setattr(faiss_scan, "_SAMPLE_ROWS", 10)
    spec = ShortlistSpec("bits", 64)
    arrays = arrays_of(spec)
    arrays.codes[:10] = arrays.codes[0]  # the sample
    queries = encode_queries(arrays.profiles[:1], spec, arrays.rotation)
    nearest = NearestRows(300, np.inf)
    scan(arrays.codes, bit_distances(queries), [nearest], None)
    np.testing.assert_array_equal(scan_with_faiss(arrays, queries, 300, None)[0], nearest.rows())


def test_faiss_int8_products_are_whole_numbers():
    """Faiss floors queries of 32, 64 … values to int8, so ours are whole numbers within int8."""
    spec = ShortlistSpec("int8", 64)
    arrays = arrays_of(spec)
    queries = encode_queries(arrays.profiles[:1], spec, None)
    distances, rows = faiss_scan._int8_near(arrays.codes, queries, 5, None)
    exact = (arrays.codes[rows].astype(int) - 128) @ queries[0].astype(int)
    np.testing.assert_array_equal(-distances, exact)
    assert np.abs(queries).max() == 127


def test_auto_imports_faiss_once_the_rows_repay_it(monkeypatch):
    arrays = arrays_of(ShortlistSpec("bits", 64))
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.setattr(faiss_scan, "_scanned", {"rows": 0})
    monkeypatch.setattr(faiss_scan, "_ROWS_WORTH_AN_IMPORT", 3 * arrays.slots)
    assert [takes_faiss("auto", arrays, 1, 0) for _ in range(4)] == [False, False, True, True]


def test_faiss_leaves_float32_and_strict_filters_to_numpy():
    bits, int8 = arrays_of(ShortlistSpec("bits", 64)), arrays_of(ShortlistSpec("int8", 64))
    assert takes_faiss("faiss", bits, 1, 1250)
    assert not takes_faiss("faiss", bits, 1, 1251)
    assert takes_faiss("faiss", int8, 1, 2000)
    assert not takes_faiss("faiss", int8, 1, 2001)
    assert not takes_faiss("faiss", arrays_of(ShortlistSpec("float32", 64)), 1, 0)


def test_missing_faiss_is_an_error_only_if_asked_for(monkeypatch):
    arrays = arrays_of(ShortlistSpec("bits", 64))
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.setattr(faiss_scan.importlib.util, "find_spec", lambda _: None)
    assert not takes_faiss("auto", arrays, 10**9, 0)
    with pytest.raises(MissingDependencyError, match=r"mrlspk\[faiss\]"):
        takes_faiss("faiss", arrays, 1, 0)
