#!/usr/bin/env bash
# Expect: kaldiio reads the float vectors of a text archive (copy-vector ark:a ark,t:b) as Kaldi's own reader does.
# Happens: if the first value of a vector has no point, as in "0", "1" or "1e-05", the whole vector is read as int32 and
#   every value cut to a whole number. Vectors of length one become zeros. Nothing is raised and the shape is right.
#   Its own text archives suffer too: a vector that begins with 1e-05 comes back as zeros. Matrices, and vectors in
#   binary, are right.
# Meets: whoever keeps vectors as text: embeddings after a ReLU (GE2E's), of which every second begins with 0, weights,
#   posteriors and the decisions of a voice detector. Other embeddings are hardly ever hit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 kaldiio==2.18.1 kaldi_native_io==1.23.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import kaldi_native_io
import kaldiio
import numpy as np

print("kaldiio", version("kaldiio"), "| kaldi_native_io, Kaldi's own reader,", version("kaldi_native_io"))
changes = []


def expect(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        changes.append(f"{what}: {expected} expected")


def write_as_kaldi(path, vectors, kind="ark,t"):
    with kaldi_native_io.FloatVectorWriter(f"{kind}:{path}") as writer:
        for key, vector in vectors.items():
            writer.write(key, vector)


def read_by_kaldi(path):
    with kaldi_native_io.SequentialFloatVectorReader(f"ark:{path}") as reader:
        return {key: vector.copy() for key, vector in reader}


def read_by_kaldiio(path):
    return dict(kaldiio.load_ark(path))


def count_right(read, written):
    return sum(np.allclose(read[key], vector, rtol=1e-4, atol=1e-6) for key, vector in written.items())


print()
for values, expected in (
    ((0.5, 0.25, 2), [0.5, 0.25, 2]),
    ((0, 0.98, 0.5), [0, 0, 0]),
    ((1, 2.75, -2.75), [1, 2, -2]),
    ((1e-5, 0.5, 0.25), [0, 0, 0]),
):
    write_as_kaldi("v.ark", {"v": np.array(values, np.float32)})
    print("written:", open("v.ark").read().split("[")[1].split("]")[0].strip())
    right = np.allclose(read_by_kaldi("v.ark")["v"], values, atol=1e-6)
    expect("  Kaldi's reader returns it", right, True)
    expect("  kaldiio", read_by_kaldiio("v.ark")["v"].tolist(), expected)

kaldiio.save_ark("own.ark", {"v": np.array([1e-5, 0.5, 0.25])}, text=True)
expect("\nits own archive of [1e-05 0.5 0.25]", read_by_kaldiio("own.ark")["v"].tolist(), [0, 0, 0])
kaldiio.save_ark("own.ark", {"v": np.array([[1e-5, 0.5], [0.25, 1]])}, text=True)
expect("as a matrix", np.allclose(read_by_kaldiio("own.ark")["v"], [[1e-5, 0.5], [0.25, 1]]), True)

vectors = np.maximum(np.random.default_rng(0).standard_normal((400, 256)), 0)
written = {
    f"speaker{each:03}": vector.astype(np.float32)
    for each, vector in enumerate(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
}
write_as_kaldi("text.ark", written)
write_as_kaldi("binary.ark", written, "ark")
print(f"\n{len(written)} embeddings of length one after a ReLU, right as read by")
read = read_by_kaldiio("text.ark")
zeros = sum(not np.any(vector) for vector in read.values())
begin_with_zero = sum(vector[0] == 0 for vector in written.values())
expect("Kaldi's reader, text", count_right(read_by_kaldi("text.ark"), written), len(written))
expect("kaldiio, binary", count_right(read_by_kaldiio("binary.ark"), written), len(written))
expect("kaldiio, text", count_right(read, written), len(written) - begin_with_zero)
expect(f"only zeros, where {begin_with_zero} begin with 0", zeros, begin_with_zero)

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
