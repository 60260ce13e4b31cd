#!/usr/bin/env bash
# Expect: truncate(64) in a ScaNN builder makes the searcher compare the first 64 values of each vector; its help
#   recommends it for Matryoshka embeddings (MRL).
# Happens: with score_brute_force, float or int8 and also below a tree, it changes nothing: scores, answers and the file
#   of codes are those of the full vectors, at 64 values as at 2. Nothing is raised, though the argument is read:
#   truncate(512) of 256 values is refused. With tree and score_ah the scores are those of the prefix.
# Meets: whoever measures by exact search what a narrower prefix costs: every width finds everybody, and none is
#   faster. Vectors cut before they are given to the builder are searched as expected.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 scann==1.4.2
cd "$work"
cat >search.py <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scann

VOICES, QUERIES, FULL = 3_000, 200, 256
EXACT = {
    "exact": lambda builder: builder.score_brute_force(),
    "exact, int8": lambda builder: builder.score_brute_force(quantize=True),
    "exact in a tree": lambda builder: builder.tree(20, 20, training_sample_size=VOICES).score_brute_force(),
}
print("scann", version("scann"))
changes = []


def expect(holds, what):
    if not holds:
        changes.append(what)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def build(score, width, vectors):
    builder = scann.scann_ops_pybind.builder(vectors, 10, "dot_product")
    return score(builder if width == FULL else builder.truncate(width)).build()


def recall(ids):
    """Return the share of queries whose own voice, which has the number of the query, comes first."""
    return float(np.mean(ids[:, 0] == np.arange(QUERIES)))


def code_bytes(searcher, folder):
    Path(folder).mkdir()
    searcher.serialize(folder)
    return sum(each.stat().st_size for each in Path(folder).glob("*.npy"))


rng = np.random.default_rng(0)
voices = unit(rng.standard_normal((VOICES, FULL)))
queries = unit(voices[:QUERIES] + 0.06 * rng.standard_normal((QUERIES, FULL)))
full = {name: build(score, FULL, voices).search_batched(queries) for name, score in EXACT.items()}
full_bytes = code_bytes(build(EXACT["exact, int8"], FULL, voices), "full")
print(f"voices found by exact search of all {FULL} values: {recall(full['exact'][0]):.3f}; {full_bytes} bytes as int8")

for width in (64, 16, 2):
    print(f"truncate({width})")
    prefix = recall(np.argsort(-(queries[:, :width] @ voices[:, :width].T), axis=1))
    cut = np.ascontiguousarray(voices[:, :width])
    before = recall(build(EXACT["exact"], FULL, cut).search_batched(np.ascontiguousarray(queries[:, :width]))[0])
    print(f"  the first {width} values find {prefix:.3f} (NumPy); cut before they are given to scann {before:.3f}")
    expect(abs(prefix - before) < 0.01, f"scann searches vectors of {width} values as NumPy does")
    for name, score in EXACT.items():
        ids, scores = build(score, width, voices).search_batched(queries)
        same = np.array_equal(ids, full[name][0]) and np.allclose(scores, full[name][1], atol=1e-5)
        print(f"  {name}: finds {recall(ids):.3f}; the answers and scores of all {FULL} values: {same}")
        expect(same, f"{name}, {width}: answers and scores are those of the full vectors")
    size = code_bytes(build(EXACT["exact, int8"], width, voices), f"prefix{width}")
    print(f"  codes of the int8 searcher: {size} bytes")
    expect(size == full_bytes, f"{width}: the codes are as large as those of the full vectors")

hashed = build(lambda builder: builder.tree(20, 20, training_sample_size=VOICES).score_ah(2), 64, voices)
ids, scores = hashed.search_batched(queries)
of_prefix, of_full = (np.einsum("ij,ij->i", queries[:, :width], voices[ids[:, 0], :width]) for width in (64, FULL))
errors = [float(np.mean(np.abs(scores[:, 0] - each))) for each in (of_prefix, of_full)]
print(f"tree and score_ah, truncate(64): scores differ by {errors[0]:.2f} from the prefix's, {errors[1]:.2f} from all")
expect(errors[0] < 0.05 < 0.3 < errors[1], "tree and score_ah score the prefix")
try:
    build(EXACT["exact"], 2 * FULL, voices)
    expect(False, "a width beyond the vectors' is refused")
except ValueError as error:
    print(f"truncate({2 * FULL}): {error}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
env/bin/python search.py 2>log || { cat log && exit 1; }
