"""Scan sign bits and int8 codes with faiss, straight on the memory map."""

import importlib.util
import sys
from typing import Any, Literal

import numpy as np

from mrlspk.errors import MissingDependencyError
from mrlspk.index.funnel.arrays import FunnelArrays, Mask, Slots
from mrlspk.index.funnel.codes import Codes
from mrlspk.index.funnel.nearest import Distances

type Engine = Literal["auto", "numpy", "faiss"]

_ROWS_WORTH_AN_IMPORT = 30_000_000  # NumPy scans them in the time that faiss takes to import
_MOST_HIDDEN = 2000  # faiss finds this many rows too many in a scan of int8
_SAMPLES, _SAMPLE_ROWS = 4, 4096
_SAMPLE_MARGIN = 1.5
_scanned = {"rows": 0}


def available_engine(engine: Engine) -> Engine:
    """Return ``engine``, or for ``auto`` the faster of those installed.

    Raises:
        MissingDependencyError: If ``engine`` is "faiss" and it is not installed.
    """
    if engine == "numpy" or "faiss" in sys.modules or importlib.util.find_spec("faiss") is not None:
        return "numpy" if engine == "numpy" else "faiss"
    if engine == "faiss":
        raise MissingDependencyError("faiss is not installed", fix='Install it: `pip install "mrlspk[faiss]"`.')
    return "numpy"


def takes_faiss(engine: Engine, arrays: FunnelArrays, queries: int, hidden: int) -> bool:
    """Return whether faiss scans the codes for these queries.

    ``auto`` imports it once there were rows enough to repay the import. NumPy scans float32 as fast, and does not
    read the codes of slots that a filter hides.

    Raises:
        MissingDependencyError: If ``engine`` is "faiss" and it is not installed.
    """
    if engine == "auto" and "faiss" not in sys.modules:
        _scanned["rows"] += arrays.slots * queries
        if _scanned["rows"] < _ROWS_WORTH_AN_IMPORT:
            return False
    most_hidden = {"bits": arrays.slots // 2, "int8": _MOST_HIDDEN, "float32": -1}[arrays.spec.type]
    return available_engine(engine) == "faiss" and hidden <= most_hidden


def scan_with_faiss(arrays: FunnelArrays, queries: Codes, wanted: int, live: Mask | None) -> list[Slots]:
    """Return the ``wanted`` live rows nearest to each query's code, ascending; ties at the last place are dropped."""
    assert arrays.codes is not None
    array = np.asarray(arrays.codes)
    near = _bits_near if arrays.spec.type == "bits" else _int8_near
    found = []
    for query in queries:
        distances, rows = near(array, query[None], wanted, live)
        if rows.size > wanted:
            rows = rows[distances < np.partition(distances, wanted)[wanted]]
        found.append(rows)
    return found


def _bits_near(array: Codes, query: Codes, wanted: int, live: Mask | None) -> tuple[Distances, Slots]:
    """Return more than ``wanted`` rows, or all: those within a radius that a sample suggests."""
    radius, step = _radius(array, query, wanted, live), 2
    while True:
        distances, rows = _bits_within(array, query, radius)
        if live is not None:
            distances, rows = distances[live[rows]], rows[live[rows]]
        if rows.size > wanted or radius > 8 * array.shape[1]:
            return distances, rows
        radius, step = radius + step, 2 * step


def _radius(array: Codes, query: Codes, wanted: int, live: Mask | None) -> int:
    """Return a radius within which rows all over the array promise some more rows than wanted."""
    import faiss

    n_live = len(array) if live is None else int(np.count_nonzero(live))
    rows = min(_SAMPLE_ROWS, len(array))
    nearest = min(_SAMPLES * rows, int(_SAMPLE_MARGIN * wanted / n_live * _SAMPLES * rows) + 1)
    starts = np.linspace(0, len(array) - rows, _SAMPLES).astype(int).tolist()
    parts = [faiss.knn_hamming(query, array[start : start + rows], min(nearest, rows))[0][0] for start in starts]
    return int(np.sort(np.concatenate(parts))[nearest - 1]) + 1


def _bits_within(array: Codes, query: Codes, radius: int) -> tuple[Distances, Slots]:
    import faiss

    library: Any = faiss  # its typed part leaves this function out
    result = library.RangeSearchResult(1)
    library.hamming_range_search(
        faiss.swig_ptr(query), faiss.swig_ptr(array), 1, len(array), radius, array.shape[1], result
    )
    count = int(faiss.rev_swig_ptr(result.lims, 2)[1])
    if not count:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    return faiss.rev_swig_ptr(result.distances, count).copy(), faiss.rev_swig_ptr(result.labels, count).copy()


def _int8_near(array: Codes, query: Codes, wanted: int, live: Mask | None) -> tuple[Distances, Slots]:
    """Return more than ``wanted`` rows, or all; the scanner of inverted lists reads rows in place."""
    import faiss

    hidden = 0 if live is None else len(array) - int(np.count_nonzero(live))
    requested, dim = min(wanted + 1 + hidden, len(array)), array.shape[1]
    quantizer: Any = faiss.ScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit_direct_signed)
    centroids = faiss.IndexFlatIP(dim)  # asked for, but unused
    rows_for_labels, relative_to_centroid = True, False
    scanner = quantizer.select_InvertedListScanner(
        faiss.METRIC_INNER_PRODUCT, centroids, rows_for_labels, None, relative_to_centroid
    )
    products, rows = np.full(requested, -np.inf, np.float32), np.full(requested, -1, np.int64)
    scanner.set_query(faiss.swig_ptr(query))
    scanner.set_list(0, 0.0)
    scanner.scan_codes(
        len(array), faiss.swig_ptr(array), None, faiss.swig_ptr(products), faiss.swig_ptr(rows), requested
    )
    by_row = np.argsort(rows)
    products, rows = products[by_row], rows[by_row]
    return (-products, rows) if live is None else (-products[live[rows]], rows[live[rows]])
