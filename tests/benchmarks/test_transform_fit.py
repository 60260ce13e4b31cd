"""Time the fit of a transform to a million vectors against one product ``X.T @ X``, and against a rotation.

    .venv/bin/pytest tests/benchmarks/test_transform_fit.py -s

It needs 1 GiB of disk and 6 GiB of memory. Quote ratios of one run on an idle machine.
"""

import subprocess
import sys
import time

import numpy as np
import pytest

N_VECTORS, EMBED_DIM, N_SPEAKERS = 1_000_000, 256, 50_000
MOST_PRODUCTS, MOST_GIB, LEAST_GAIN = 4.0, 4.0, 3.0
BLOCK = 20_000
FIT = """
import resource, sys
import numpy as np
from mrlspk.rotation.transform import fit_transform
vectors, labels = np.load(sys.argv[1], mmap_mode="r"), np.load(sys.argv[2])
fit_transform(vectors, labels, centre=True, flatten=0.2, order="energy")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Write vectors of speakers in no order, and return the files of vectors and labels."""
    folder, rng = tmp_path_factory.mktemp("million"), np.random.default_rng(0)
    labels = rng.integers(N_SPEAKERS, size=N_VECTORS)
    voices = rng.normal(size=(N_SPEAKERS, EMBED_DIM)).astype(np.float32)
    mix = (rng.normal(size=(EMBED_DIM, EMBED_DIM)) * np.linspace(2, 0.05, EMBED_DIM)).astype(np.float32)
    shape = N_VECTORS, EMBED_DIM
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, shape)
    for first in range(0, N_VECTORS, BLOCK):
        part = slice(first, first + BLOCK)
        noise = rng.normal(size=(BLOCK, EMBED_DIM)).astype(np.float32)
        vectors[part] = (voices[labels[part]] + noise) @ mix.T + 0.5
    np.save(folder / "labels.npy", labels)
    return folder / "vectors.npy", folder / "labels.npy"


def seconds(function, *, repeats):
    """Return the shortest of several times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def test_fit_takes_few_products_and_little_memory(corpus):
    from mrlspk.rotation.transform import fit_transform

    vectors, labels = np.load(corpus[0], mmap_mode="r"), np.load(corpus[1])
    product = seconds(lambda: vectors.T @ vectors, repeats=5)
    fit = seconds(lambda: fit_transform(vectors, labels, centre=True, flatten=0.2, order="energy"), repeats=5)
    command = sys.executable, "-c", FIT, *map(str, corpus)
    memory = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 2**20
    sys.stdout.write(f"\nX.T @ X {product:.2f} s; fit {fit:.2f} s = {fit / product:.2f} of it; {memory:.2f} GiB\n")
    assert fit <= MOST_PRODUCTS * product
    assert memory <= MOST_GIB


def test_fit_is_faster_than_a_rotation_in_memory(corpus):
    from mrlspk.rotation.closed_form import fit_rotation
    from mrlspk.rotation.transform import fit_transform

    vectors, labels = np.load(corpus[0]), np.load(corpus[1])
    fit = seconds(lambda: fit_transform(vectors, labels, centre=True, flatten=0.2, order="energy"), repeats=3)
    rotation = seconds(lambda: fit_rotation(vectors, labels, method="svd"), repeats=1)
    sys.stdout.write(f"\nrotation svd {rotation:.2f} s; fit {fit:.2f} s: {rotation / fit:.1f} times as fast\n")
    assert rotation >= LEAST_GAIN * fit
