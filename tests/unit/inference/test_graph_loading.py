import builtins
import threading

import numpy as np
import onnx
import pytest

from graphs import MIN_SAMPLES, moments, moments_graph, moments_metadata, write_moments
from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile


def load(path, **options):
    return load_backend(ModelFile(path, path.name), **options)


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0.1, 0.3, (8, 5, 2_000)).astype(np.float32)


def test_exported_graph_embeds_with_the_facts_of_its_metadata(tmp_path, noise):
    metadata = moments_metadata(config={"model": {}}, calibration={"widths": {}})
    loaded = load(write_moments(tmp_path / "m.onnx", metadata))
    backend = loaded.backend
    np.testing.assert_allclose(backend.embed(noise[0]), moments(noise[0]), atol=1e-6)
    assert (backend.dims, backend.embed_dim, backend.sample_rate) == ((1, 2), 2, 16_000)
    assert (backend.min_samples, backend.fingerprint, loaded.config) == (MIN_SAMPLES, "moments", {"model": {}})
    assert loaded.metadata == metadata
    assert set(backend.runtime) == {"onnxruntime", "device", "precision"}


def test_threads_embed_at_once_without_mixing_their_waveforms(tmp_path, noise):
    backend = load(write_moments(tmp_path / "m.onnx")).backend
    found = [[] for _ in noise]

    def embed(i):
        for _ in range(50):
            found[i].append(backend.embed(noise[i]))

    threads = [threading.Thread(target=embed, args=(i,)) for i in range(len(noise))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for waveforms, vectors in zip(noise, found, strict=True):
        np.testing.assert_allclose(vectors, np.broadcast_to(moments(waveforms), (50, 5, 2)), atol=1e-6)


def test_too_short_waveforms_are_refused(tmp_path, noise):
    backend = load(write_moments(tmp_path / "m.onnx")).backend
    with pytest.raises(UsageError, match="expected at least 400 samples, got 399"):
        backend.embed(noise[0, :, :399])


def test_graph_that_computes_something_else_fails_its_parity_check(tmp_path):
    with pytest.raises(CheckpointError, match=r"the embedding of 0\.3 s differs from PyTorch by 0\.\d"):
        load(write_moments(tmp_path / "m.onnx", scale=2.0))


def test_graph_that_computes_nan_fails_its_parity_check(tmp_path):
    with pytest.raises(CheckpointError, match="differs from PyTorch by nan"):
        load(write_moments(tmp_path / "m.onnx", scale=float("nan")))


def test_graph_without_checks_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no embeddings to compare with"):
        load(write_moments(tmp_path / "m.onnx", moments_metadata().with_checks({})))


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda path: path.write_bytes(b"not a protobuf"), "is not an ONNX file but a text file"),
        (lambda path: path.write_bytes(b""), "is not an ONNX file but an empty file"),
        (lambda path: onnx.save(moments_graph(None), path), "is an ONNX file whose front end nothing describes"),
        (lambda path: write_moments(path, moments_metadata(input="features")), "reads log-mel features, not audio"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
    ],
)
def test_file_that_is_no_exported_model_is_refused(tmp_path, write, what):
    path = tmp_path / "m.onnx"
    write(path)
    with pytest.raises(CheckpointError, match=what):
        load(path)


def test_absent_runtimes_name_the_extra(tmp_path, monkeypatch):
    path, real = write_moments(tmp_path / "m.onnx"), builtins.__import__

    def without_runtime(name, *args, **kwargs):
        if name.startswith(("onnxruntime", "openvino")):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_runtime)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mrlspk\[onnx\]'"):
        load(path)


def test_exported_graph_runs_on_the_cpu_only(tmp_path):
    with pytest.raises(MissingDependencyError, match="an exported model does not run on cuda"):
        load(write_moments(tmp_path / "m.onnx"), device="cuda")
