#!/usr/bin/env bash
# Expect: lilcom, the lossy compression in which Lhotse stores features unless told otherwise, returns bytes and leaves
#   its input alone; comparing what comes back with the input shows what was lost.
# Happens: compress() writes the rounded values over a float32 array of its caller, so that this comparison finds no
#   loss at all, and whatever the program goes on to do with the array it does with rounded values. float64 arrays and
#   views with gaps are left alone. With Lhotse's step of 1/32 the cosine between a unit vector of 256 values and its
#   own stored copy is 0.989; lilcom's own step of 1/256 hides a loss as well.
# Meets: whoever stores features or embeddings by one of Lhotse's Lilcom writers and then uses the array.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 lilcom==1.8.2
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import lilcom
import numpy as np

STEPS = {"Lhotse's step 2^-5": -5, "lilcom's step 2^-8": -8}
print("lilcom", version("lilcom"))
changes = []
rng = np.random.default_rng(0)


def expect(holds, what):
    if not holds:
        changes.append(what)


def embeddings(count, dtype):
    vectors = rng.standard_normal((count, 256)).astype(dtype)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def store(array, power):
    """Return the array after it was compressed, what comes back, and what the caller had."""
    before = array.copy()
    back = lilcom.decompress(lilcom.compress(array, tick_power=power))
    return array, back, before


for name, power in STEPS.items():
    after, back, before = store(embeddings(1, np.float32)[0], power)
    seen, lost = np.abs(back - after).max(), np.abs(back - before).max()
    cosine = back @ before / np.linalg.norm(back)
    print(f"{name}: loss by the input as it is now {seen:.4f}, as it was {lost:.4f}; cosine {cosine:.4f}")
    expect(seen == 0, f"{name}: the input shows no loss")
    expect(0.4 * 2**power < lost <= 0.51 * 2**power, f"{name}: half a step is lost")
    expect(power != -5 or 0.98 < cosine < 0.995, f"{name}: cosine of about 0.99")

print("\nis the caller's array changed?")
matrix = embeddings(20, np.float32)
frames = rng.standard_normal((300, 80)).astype(np.float32) * 3 - 8
for name, array, expected in (
    ("float32 vector", embeddings(1, np.float32)[0], True),
    ("float32 row of a table", matrix[3], True),
    ("float32 log-mel frames", frames, True),
    ("float32 prefix of all rows, 64 values", matrix[:, :64], False),
    ("float64 vector", embeddings(1, np.float64)[0], False),
):
    after, _, before = store(array, -5)
    changed = not np.array_equal(after, before)
    print(f"{name}: {'yes' if changed else 'no'}")
    expect(changed == expected, name)

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
