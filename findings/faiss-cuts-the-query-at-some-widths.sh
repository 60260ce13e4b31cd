#!/usr/bin/env bash
# Expect: faiss's quantiser QT_8bit_direct_signed keeps int8 values as they are and multiplies them by the values of the
#   query, which are floats. A query of unit length then ranks the voices as the same query times 100 does, and its
#   scores are 100 times smaller.
# Happens: at most widths that Matryoshka models have (64, 128, 192, 256) each value of the query is cut to one byte
#   first: 1.9 counts as 1 and 0.9 as 0, so that a query of unit length scores 0 against every voice. 130 counts as
#   -126, so that a long query finds the wrong voice. At 100 or 200 values, or without AVX2, queries stay floats.
#   Nothing is raised. QT_8bit_direct does the same; QT_8bit does not.
# Meets: whoever stores prefixes as int8 and searches with a float vector. mrlspk rounds its queries to -127 … 127.
#   (Needs an x86 processor with AVX2.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 faiss-cpu==1.15.1
cat >"$work/search.py" <<'PYTHON'
import sys

import faiss
import numpy as np

VOICES, QUERIES = 2_000, 200
DIRECT = faiss.ScalarQuantizer.QT_8bit_direct_signed
faiss.omp_set_num_threads(1)
changes = []


def expect(what, seen, expected):
    print(f"  {what}: {seen}")
    if seen != expected:
        changes.append(f"{what}: {expected} expected")


def build(codes, kind=DIRECT):
    index = faiss.IndexScalarQuantizer(codes.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(codes)
    index.add(codes)
    return index


def found(index, queries):
    """Return the share of queries whose own voice comes first, with a score above 0; query i is of voice i."""
    scores, ids = index.search(np.ascontiguousarray(queries, np.float32), 1)
    return float(np.mean((ids[:, 0] == np.arange(len(queries))) & (scores[:, 0] > 0)))


def one_value(width, value):
    """Return what a query's value counts as: its product with a stored 1."""
    one = np.eye(1, width, dtype=np.float32)
    return round(float(build(one).search(one * np.float32(value), 1)[0][0, 0]), 3)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def search_width(width, cuts):
    rng = np.random.default_rng(0)
    voices = unit(rng.standard_normal((VOICES, width)))
    codes = np.rint(voices * 127 / np.abs(voices).max()).astype(np.float32)
    queries = unit(voices[:QUERIES] + 0.03 * rng.standard_normal((QUERIES, width)))
    to_127 = queries * 127 / np.abs(queries).max(axis=1, keepdims=True)
    index = build(codes)
    print(f"{width} values")
    expect("codes come back as they were stored", bool(np.all(index.reconstruct_n(0, VOICES) == codes)), True)
    values = [0.5, 0.9, 1.9, -1.9, 130]
    seen = [one_value(width, value) for value in values]
    expect("0.5, 0.9, 1.9, -1.9 and 130 count as", seen, [0, 0, 1, -1, -126] if cuts else values)
    scores = index.search(queries[:1].astype(np.float32), VOICES)[0]
    expect("a query of unit length scores 0 against every voice", not np.any(scores), cuts)
    expect("voices found, unit length", found(index, queries), 0.0 if cuts else 1.0)
    expect("voices found, whole numbers up to 127", found(index, np.rint(to_127)), 1.0)
    expect("voices found by QT_8bit, unit length", found(build(codes, faiss.ScalarQuantizer.QT_8bit), queries), 1.0)
    wrapped = found(index, 4 * to_127)
    print(f"  voices found, values up to 508: {wrapped}")
    expect("  fewer than a third of them", wrapped < 1 / 3, cuts)


for width in (64, 100, 256):
    search_width(width, sys.argv[1] == "AVX2" and width % 64 == 0)
for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
status=0
"$work/env/bin/python" -c 'import faiss; print("faiss", faiss.__version__, "|", faiss.get_compile_options())'
for level in AVX2 NONE; do
  echo "== instructions: $level"
  FAISS_SIMD_LEVEL=$level "$work/env/bin/python" "$work/search.py" "$level" || status=1
done
exit "$status"
