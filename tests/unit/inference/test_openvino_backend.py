import threading

import numpy as np
import onnx
import openvino
import pytest
from onnx import helper

from factories import tiny_encoder
from graphs import moments_graph, write_moments
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.inference import openvino_backend
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.openvino_backend import read_openvino_backend
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.models.export.onnx_file import write_onnx
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.models.graph_metadata import GraphMetadata

DIMS = (8,)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path, encoder = tmp_path_factory.mktemp("graph") / "m.onnx", tiny_encoder(DIMS)
    metadata = GraphMetadata(
        dims=DIMS,
        sample_rate=16_000,
        min_samples=encoder.min_samples,
        fingerprint=model_fingerprint(encoder),
        family="test",
        licence="MIT",
    )
    write_onnx(encoder, path, metadata)
    return path


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (6, 2, 8_000)).astype(np.float32)


def load(path, **options):
    return load_backend(ModelFile(path, path.name), backend="openvino", **options)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_openvino_embeds_in_f32_like_pytorch(exported, noise):
    backend = load(exported).backend
    expected = TorchBackend(tiny_encoder(DIMS)).embed(noise[0])
    np.testing.assert_allclose(unit(backend.embed(noise[0])), unit(expected), atol=1e-5)
    assert backend.runtime["precision"] == "f32"


def test_threads_embed_other_lengths_at_once_in_openvino(exported, noise):
    backend = load(exported).backend
    waveforms = [each[:, : 6_000 + 300 * i] for i, each in enumerate(noise)]
    alone = [backend.embed(each) for each in waveforms]
    found = [[] for _ in waveforms]

    def embed(i):
        for _ in range(10):
            found[i].append(backend.embed(waveforms[i]))

    threads = [threading.Thread(target=embed, args=(i,)) for i in range(len(waveforms))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, vectors in zip(alone, found, strict=True):
        np.testing.assert_allclose(vectors, np.broadcast_to(expected, (10, *expected.shape)), atol=1e-6)


def test_result_is_not_overwritten_by_the_next_call(exported, noise):
    backend = load(exported).backend
    first = backend.embed(noise[0])
    before = first.copy()
    backend.embed(noise[1])
    np.testing.assert_array_equal(first, before)


def test_bf16_keeps_front_end_pooling_and_head_in_f32(exported, monkeypatch):
    precisions, compile_part = [], openvino_backend._compile
    monkeypatch.setattr(
        openvino_backend,
        "_compile",
        lambda core, model, precision: (
            precisions.append((model.get_friendly_name(), precision)) or compile_part(core, model, precision)
        ),
    )
    monkeypatch.setattr(openvino_backend, "_has_bf16", lambda _core: True)
    read_openvino_backend(exported, "bf16")
    assert precisions == [("front end", "f32"), ("network", "bf16"), ("pooling and head", "f32")]


def test_bf16_is_refused_by_a_processor_without_it(exported, monkeypatch):
    monkeypatch.setattr(openvino_backend, "_has_bf16", lambda _core: False)
    with pytest.raises(UsageError, match="this processor does not compute in bf16"):
        load(exported, precision="bf16")


def test_bf16_reports_its_cosine_to_f32(exported, noise, monkeypatch):
    read = openvino_backend.read_openvino_backend
    monkeypatch.setattr(
        "mrlspk.inference.graph_loading.read_openvino_backend", lambda path, _precision="f32": read(path)
    )
    too_short = noise[0, 0, :100]
    cosine = load(exported, precision="bf16", sample=[*noise[:, 0], too_short]).precision_cosine
    assert cosine.files == len(noise)
    assert (cosine.mean, cosine.min) == pytest.approx((1, 1), abs=1e-6)
    assert load(exported, precision="bf16").precision_cosine is None


@pytest.mark.slow
def test_bf16_of_real_speech_is_within_a_thousandth_of_f32(shared, tmp_path):
    import soundfile

    files = sorted((shared / "speech" / "test").rglob("*.wav"))[::10][:12]
    sample = [soundfile.read(file, dtype="float32")[0] for file in files]
    model = ModelFile(shared / "pretrained" / "redimnet-small-speech.pt", "small")
    try:
        loaded = load_backend(
            model, device="cpu", backend="openvino", precision="bf16", cache_dir=tmp_path, sample=sample
        )
    except UsageError:
        pytest.skip("this processor does not compute in bf16")
    assert loaded.precision_cosine.min >= 0.999
    assert loaded.precision_cosine.files == 12


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda path: path.write_bytes(b"not a protobuf"), "is not an ONNX file but a text file"),
        (lambda path: onnx.save(moments_graph(None), path), "an ONNX file whose front end nothing describes"),
        (lambda path: write_moments(path, scale=2.0), "differs from PyTorch"),
    ],
)
def test_openvino_refuses_what_is_no_exported_model(tmp_path, write, what):
    write(tmp_path / "m.onnx")
    with pytest.raises(CheckpointError, match=what):
        load(tmp_path / "m.onnx")


def test_signal_that_openvino_cannot_run_is_an_error_of_the_model(monkeypatch, tmp_path):
    sizes = {"kernel_shape": [9_000], "strides": [9_000], "ceil_mode": 1}
    window = helper.make_node("AveragePool", ["waveform"], ["embedding"], **sizes)
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, name]) for name in ("waveform", "embedding")
    ]
    model = helper.make_model(helper.make_graph([window], "pool", ports[:1], ports[1:]), ir_version=9)
    metadata = GraphMetadata(dims=(1,), sample_rate=1, min_samples=1, fingerprint="", family="", licence="")
    helper.set_model_props(model, metadata.properties())
    onnx.save(model, tmp_path / "m.onnx")
    signal = np.ones((1, 1, 8_000), np.float32)
    assert read_openvino_backend(tmp_path / "m.onnx").embed(signal) == pytest.approx(1)
    monkeypatch.setattr(openvino_backend, "allow_short_signals", lambda _model: None)
    with pytest.raises(CheckpointError, match="OpenVINO cannot run the model on 1 samples: Kernel"):
        read_openvino_backend(tmp_path / "m.onnx").embed(signal)


def test_graph_without_named_parts_has_no_bf16(tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_backend, "_has_bf16", lambda _core: True)
    with pytest.raises(CheckpointError, match="has no value called features between its parts"):
        load(write_moments(tmp_path / "m.onnx"), precision="bf16")


def test_int8_quantises_the_network_alone(exported, noise, monkeypatch):
    made = {}
    from mrlspk.inference import quantisation

    opened = quantisation.open_session
    monkeypatch.setattr(
        quantisation, "open_session", lambda content, where: made.update(file=content) or opened(content, where)
    )
    loaded = load_backend(
        ModelFile(exported, "m.onnx"), backend="onnxruntime", precision="int8", sample=list(noise[:, 0])
    )
    nodes = onnx.load_from_string(made["file"]).graph.node
    readers = {node.output[0]: node for node in nodes if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    quantised = [node for node in convolutions if node.input[0] in readers]
    assert quantised
    assert all("/backbone/" in node.name for node in quantised)
    assert [node for node in convolutions if "/backbone/" not in node.name]
    assert 0.99 < loaded.precision_cosine.min < 1
    assert loaded.backend.runtime["precision"].startswith("int8 ")


def test_int8_needs_recordings(exported, noise):
    for sample in ([], [noise[0, 0, :100]]):
        with pytest.raises(UsageError, match="int8 needs recordings"):
            load_backend(ModelFile(exported, "m.onnx"), backend="onnxruntime", precision="int8", sample=sample)


@pytest.mark.parametrize(("backend", "precision"), [("onnxruntime", "bf16"), ("openvino", "int8")])
def test_precision_that_a_runtime_lacks_is_refused(exported, backend, precision):
    with pytest.raises(UsageError, match=f"{backend} does not embed in {precision}"):
        load_backend(ModelFile(exported, "m.onnx"), backend=backend, precision=precision)


def test_backends_share_one_core_whose_signal_stack_stays(exported, monkeypatch):
    openvino_backend.shared_core()
    monkeypatch.setattr(openvino, "Core", lambda: pytest.fail("a second core"))
    read_openvino_backend(exported)
