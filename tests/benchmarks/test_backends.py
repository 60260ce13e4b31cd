"""Time every backend against the build before them, and hold the promised ratios.

    .venv/bin/pytest tests/benchmarks/test_backends.py

One thread, 3 s, the same weights, medians of interleaved rounds. The earlier build is unpacked from git, and runs in a
process that waits between its turns.
"""

import importlib.util
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from conformance.reference import read_reference, write_published
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.graph_metadata import check_signal

ROOT = Path(__file__).parents[2]
EARLIER = "3224530"  # ran the network as published, in PyTorch
SECONDS, ROUNDS = 3, 25
LEAST = {
    "redimnet-b0": {"torch f32": 1.5, "best f32": 3.0},
    "redimnet-b2": {"best f32": 2.5, "openvino bf16": 3.3},
}


@pytest.fixture(scope="module")
def script():
    description = importlib.util.spec_from_file_location("bench_embedding", ROOT / "scripts" / "bench_embedding.py")
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def earlier_source(tmp_path_factory):
    packed = subprocess.run(["git", "archive", EARLIER, "src"], cwd=ROOT, capture_output=True, check=True)
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", LEAST)
def test_backends_against_the_earlier_build(script, earlier_source, name, tmp_path, capsys):
    model = write_published(read_reference(name), tmp_path / "model.pt")
    waveform = check_signal(16_000 * SECONDS)[None]
    earlier = script.OtherBuild(earlier_source, model)
    try:
        backends = script.load_all(ModelFile(model, name), waveform) | {script.BUILD: earlier}
        times = script.measure(backends, waveform, ROUNDS)
        vectors = {each: script.unit(backend.embed(waveform)) for each, backend in backends.items()}
    finally:
        earlier.close()
    medians = {each: float(np.median(seconds)) for each, seconds in times.items()}
    ratios = {each: medians[script.BUILD] / median for each, median in medians.items()}
    ratios["best f32"] = max(ratio for each, ratio in ratios.items() if each.endswith("f32"))
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: times as fast as {EARLIER}, {1000 * medians[script.BUILD]:.1f} ms\n")
        sys.stdout.writelines(f"  {each:18s} {ratio:5.2f}\n" for each, ratio in ratios.items())
    for each in vectors:
        if each.endswith("f32"):
            np.testing.assert_allclose(vectors[each], vectors[script.BUILD], atol=1e-5)
    missed = {each: ratios[each] for each, least in LEAST[name].items() if ratios.get(each, 0) < least}
    assert not missed
