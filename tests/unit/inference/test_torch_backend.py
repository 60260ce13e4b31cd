"""PyTorch as a backend: its precisions, torch.compile, and its streams on a simulated GPU."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier

import numpy as np
import pytest
import torch

from factories import tiny_encoder, write_tiny_model
from graphs import write_moments
from mrlspk.errors import UsageError
from mrlspk.inference import automatic, torch_backend
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.inference.torch_layers import has_onednn

needs_bf16 = pytest.mark.skipif(not has_onednn(torch.bfloat16), reason="this processor does not compute in bf16")


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (3, 8_000)).astype(np.float32)


def load(path, backend="torch", **options):
    return load_backend(ModelFile(path, path.name), device="cpu", backend=backend, **options)


@needs_bf16
def test_bf16_in_pytorch_reports_its_cosine(tmp_path, noise):
    exact = load(write_tiny_model(tmp_path / "m.pt"))
    lowered = load(tmp_path / "m.pt", precision="bf16", sample=list(noise))
    assert exact.precision_cosine is None
    assert (exact.backend.embed(noise) != lowered.backend.embed(noise)).any()
    assert lowered.backend.embed(noise).dtype == np.float32
    assert lowered.precision_cosine.files == 3
    assert 0.999 < lowered.precision_cosine.min < 1
    assert exact.backend.runtime != lowered.backend.runtime  # on which the keys of cached embeddings depend


@needs_bf16
def test_bf16_lowers_the_backbone_alone(noise):
    backend, seen = TorchBackend(tiny_encoder(), precision="bf16"), []
    for part in (backend._network.backbone, backend._network.pool):
        part.register_forward_hook(lambda _part, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    backend.embed(noise)
    assert seen == [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.float32)]


@needs_bf16
def test_auto_embeds_bf16_in_pytorch_without_openvino(tmp_path, monkeypatch, noise):
    monkeypatch.setattr(automatic.importlib.util, "find_spec", lambda _name: None)
    loaded = load(write_tiny_model(tmp_path / "m.pt"), "auto", precision="bf16", sample=list(noise), cache_dir=tmp_path)
    assert loaded.backend.runtime["precision"] == "bf16"
    assert next(iter(loaded.backend.runtime)) == "torch"
    assert loaded.precision_cosine.min > 0.999


def test_processor_without_bf16_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_backend, "has_onednn", lambda _dtype: False)
    with pytest.raises(UsageError, match="this processor does not compute in bf16") as caught:
        load(write_tiny_model(tmp_path / "m.pt"), precision="bf16")
    assert caught.value.parameter == "precision"


def test_int8_in_pytorch_names_the_extra(tmp_path):
    with pytest.raises(UsageError, match="PyTorch does not embed in int8") as caught:
        load(write_tiny_model(tmp_path / "m.pt"), precision="int8")
    assert "mrlspk[onnx]" in caught.value.fix


def test_compile_wraps_the_backbone_for_any_length(tmp_path, monkeypatch, noise):
    calls = []

    def compiled(function, **options):
        calls.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compiled)
    plain, loaded = load(write_tiny_model(tmp_path / "m.pt")), load(tmp_path / "m.pt", "auto", compile=True)
    assert loaded.backend.embed(noise) == pytest.approx(plain.backend.embed(noise), abs=1e-5)
    assert [options["dynamic"] for options in calls] == [True]
    assert loaded.backend.runtime["network"] == "compiled"


@pytest.mark.parametrize(
    ("backend", "suffix", "why"),
    [
        ("onnxruntime", ".pt", "torch.compile does not speed up onnxruntime"),
        ("auto", ".onnx", "only a checkpoint can be compiled"),
    ],
)
def test_compile_is_refused_where_pytorch_does_not_run(tmp_path, backend, suffix, why):
    path = write_tiny_model(tmp_path / "m.pt") if suffix == ".pt" else write_moments(tmp_path / "m.onnx")
    with pytest.raises(UsageError, match=why) as caught:
        load(path, backend, compile=True, cache_dir=tmp_path)
    assert caught.value.parameter == "compile"


def test_each_thread_has_a_cuda_stream_of_its_own(monkeypatch, noise):
    """On a simulated GPU: the tensors stay on the CPU."""
    expected, streams, together = TorchBackend(tiny_encoder()).embed(noise), [], Barrier(2)
    backend = TorchBackend(tiny_encoder())
    monkeypatch.setattr(TorchBackend, "_is_on_cuda", True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _device: streams.append(object()) or streams[-1])
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)

    def embed(_):
        together.wait(10)
        return [backend.embed(noise) for _ in range(2)]

    with ThreadPoolExecutor(backend.concurrency) as threads:
        found = list(threads.map(embed, range(2)))
    assert len(streams) == 2
    np.testing.assert_allclose(np.array(found), np.broadcast_to(expected, (2, 2, *expected.shape)), atol=1e-5)
