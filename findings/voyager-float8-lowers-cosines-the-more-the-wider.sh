#!/usr/bin/env bash
# Expect: voyager's Float8 (a byte a value, steps of 1/127) adds a little noise to a cosine, to either side.
# Happens: values are cut towards zero, not rounded. Vectors of unit length become shorter than one, queries too, and
#   Space.Cosine no longer divides by the length: a vector of 256 values is 0.10 away from itself, and a cosine of 0.89
#   comes out as 0.81. The wider the vector, the smaller its values and the larger the loss: 0.03 at 16 values, 0.13
#   at 512. E4M3, another byte a value, is right on average. The order of the neighbours hardly changes.
# Meets: whoever compares the distance with a threshold set on float cosines, or searches two widths of one Matryoshka
#   embedding by the same threshold.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 voyager==2.2.3
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from voyager import Index, Space, StorageDataType

COUNT = 400
print("voyager", version("voyager"))
changes = []
rng = np.random.default_rng(0)


def expect(holds, what):
    if not holds:
        changes.append(what)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def speakers(width):
    """Return enrolled vectors, and tests of the same speakers with a cosine of about 0.9."""
    enrolled = unit(rng.standard_normal((COUNT, width)))
    return enrolled, unit(enrolled + rng.standard_normal((COUNT, width)) * 0.5 / np.sqrt(width))


def search(enrolled, test, kind):
    """Return the cosines of each test with the vector found, and the share that finds its own speaker."""
    index = Index(Space.Cosine, enrolled.shape[1], M=24, ef_construction=400, storage_data_type=kind)
    index.add_items(enrolled, num_threads=1)
    found, distances = index.query(test, k=1, query_ef=COUNT)
    return 1 - distances[:, 0], np.mean(found[:, 0] == np.arange(COUNT))


print("mean cosine with itself and with a test of the same speaker, as stored against float")
for width, least, most in ((16, 0.01, 0.04), (64, 0.03, 0.07), (192, 0.07, 0.1), (256, 0.08, 0.11), (512, 0.11, 0.15)):
    enrolled, test = speakers(width)
    true = np.sum(enrolled * test, axis=1)
    for kind in (StorageDataType.Float32, StorageDataType.Float8, StorageDataType.E4M3):
        itself, _ = search(enrolled, enrolled, kind)
        cosines, right = search(enrolled, test, kind)
        bias = cosines.mean() - true.mean()
        print(
            f"{width:3} values {kind.name:8}: itself {itself.mean():.3f} for 1, "
            f"test {cosines.mean():.3f} for {true.mean():.3f}; right speaker {right:.0%}"
        )
        if kind == StorageDataType.Float8:
            expect(least < 1 - itself.mean() < most, f"Float8, {width} values: distance from itself")
            expect(least < -bias < most, f"Float8, {width} values: cosine too low")
            expect(itself.max() < 1, f"Float8, {width} values: all vectors are too short")
        else:
            expect(abs(bias) < 0.01, f"{kind.name}, {width} values: right on average")
        expect(right > 0.9, f"{kind.name}, {width} values: right speaker")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
