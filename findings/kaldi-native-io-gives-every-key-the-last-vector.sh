#!/usr/bin/env bash
# Expect: a vector that a reader of kaldi_native_io returns keeps its values, as one of kaldiio does:
#   {key: vector for key, vector in reader} is the table, and reader["a"] @ reader["b"] scores a trial.
# Happens: the array shows the reader's only buffer, which the next key overwrites. All vectors of a loop end as the
#   last one, and every trial of a scp file scores cosine 1. Shapes and keys are right and nothing is raised. A reader
#   of an ark file by key keeps them apart; so does .copy().
# Meets: whoever reads the embeddings or features of Kaldi, WeSpeaker or Sherpa into a dictionary or scores them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 kaldi_native_io==1.23.0 kaldiio==2.18.1
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import kaldi_native_io
import kaldiio
import numpy as np

print("kaldi_native_io", version("kaldi_native_io"), "| kaldiio", version("kaldiio"))
changes = []
rng = np.random.default_rng(0)
vectors = {f"speaker{each}": rng.standard_normal(256).astype(np.float32) for each in range(50)}
matrices = {key: rng.standard_normal((100, 80)).astype(np.float32) for key in vectors}


def unit(vector):
    return vector / np.linalg.norm(vector)


def expect(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        changes.append(f"{what}: {expected} expected")


def count_right(read, written):
    return sum(np.array_equal(read[key], value) for key, value in written.items())


for kind, written, loop, by_key in (
    ("Vector", vectors, kaldi_native_io.SequentialFloatVectorReader, kaldi_native_io.RandomAccessFloatVectorReader),
    ("Matrix", matrices, kaldi_native_io.SequentialFloatMatrixReader, kaldi_native_io.RandomAccessFloatMatrixReader),
):
    kaldiio.save_ark(f"{kind}.ark", written, scp=f"{kind}.scp")
    print(f"\n{kind}, right of {len(written)} while the reader is open")
    expect("kaldiio, scp", count_right(dict(kaldiio.load_scp_sequential(f"{kind}.scp")), written), 50)
    for form, right_by_key in (("ark", 50), ("scp", 1)):
        table = f"{form}:{kind}.{form}"
        with loop(table) as reader:
            expect(f"loop over {form}, copied", count_right({k: v.copy() for k, v in reader}, written), 50)
        with loop(table) as reader:
            read = {}
            for key, value in reader:
                read[key] = value
                if len(read) == len(written):  # the reader is still at the last key
                    expect(f"loop over {form}, kept", count_right(read, written), 1)
        with by_key(table) as reader:
            expect(f"{form} by key, kept", count_right({key: reader[key] for key in written}, written), right_by_key)

with kaldi_native_io.RandomAccessFloatVectorReader("scp:Vector.scp") as reader:
    ids = list(vectors)
    pairs = [(enrolled, test) for enrolled in ids[:10] for test in ids[10:]]
    seen = []
    for enrolled, test in pairs:
        left, right = reader[enrolled], reader[test]
        seen.append(float(unit(left) @ unit(right)))
true = [float(unit(vectors[enrolled]) @ unit(vectors[test])) for enrolled, test in pairs]
print(f"\n{len(pairs)} trials of different speakers")
print(f"cosines lie between {min(true):.2f} and {max(true):.2f}")
expect("lowest cosine by two reads of a scp file", round(min(seen), 4), 1.0)

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
