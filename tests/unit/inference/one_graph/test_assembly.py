import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import soundfile
from onnx import TensorProto, helper

from mrlspk.errors import CheckpointError
from mrlspk.inference.embedding_map import EmbeddingMap
from mrlspk.inference.one_graph.assembly import build_one_graph
from mrlspk.inference.one_graph.base_nodes import BaseGraph
from mrlspk.inference.parity import to_unit
from mrlspk.inference.speaker_models.front_ends import build_front_end
from mrlspk.inference.speaker_models.graph_safety import read_safe_graph
from mrlspk.inference.speaker_models.loading import find_description, open_speaker_model
from mrlspk.models.graph_metadata import FEATURES, FRAMES, GraphMetadata
from speaker_graphs import NEMO, SPEAKER_3D, WESPEAKER, speaker_graph, write_speaker_graph

WHERE = Path("base.onnx")
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
NEMO_PORTS = {"inputs": (("audio_signal", ("B", 80, "T")), ("length", ("B",))), "others": [("logits", ("B", 1))]}


def write_nemo_graph(path):
    """Write a model like NeMo's that adds the number of real frames to the embedding."""
    model = speaker_graph(NEMO, **NEMO_PORTS, axis=2, output=("embs", ("B", 160)))
    graph = model.graph
    graph.node[-1].output[0] = "statistics"
    graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    graph.node.append(helper.make_node("Cast", ["length"], ["whole"], to=TensorProto.FLOAT))
    graph.node.append(helper.make_node("Unsqueeze", ["whole", "one"], ["logits"]))
    graph.node.append(helper.make_node("Add", ["statistics", "logits"], ["embs"]))
    onnx.save(model, path)


def open_base(path):
    safe = read_safe_graph(path)
    backend = open_speaker_model(safe, find_description(safe, path), path)
    return BaseGraph(safe.proto, backend.description, one_by_one=not backend.takes_batches), backend


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (3, 8_000)).astype(np.float32)


@pytest.fixture
def world(tmp_path):
    """Return a function that writes a speaker model and opens it: its graph as it is added, and its backend."""

    def opened(properties=WESPEAKER, *, text=None, **graph):
        path = tmp_path / "base.onnx"
        if properties is NEMO:
            write_nemo_graph(path)
        else:
            write_speaker_graph(path, properties, **graph)
        if text:
            (tmp_path / "base.yaml").write_text(text)
        return open_base(path)

    return opened


def describe(backend, width, input="waveform"):
    return GraphMetadata(
        input=input,
        dims=(width,),
        sample_rate=16_000,
        min_samples=backend.min_samples,
        fingerprint="f",
        family="onnx",
        licence="unknown",
    )


def random_map(width, embed_dim):
    rng = np.random.default_rng(1)
    return EmbeddingMap(rng.normal(size=(width, embed_dim)), rng.normal(size=width), (width,))


def run(content, waveforms, input="waveform"):
    return onnxruntime.InferenceSession(content).run(["embedding"], {input: waveforms})[0]


CASES = {
    "batches": (WESPEAKER, {}),
    "one at a time": (SPEAKER_3D, {"inputs": (("feats", (1, "T", 80)),), "output": ("embs", (1, 160))}),
    "bins first": (WESPEAKER, {"inputs": (("feats", ("B", 80, "T")),), "axis": 2}),
    "nemo": (NEMO, {}),
    "samples": (
        None,
        {"inputs": (("audio", ("B", "n")),), "output": ("embs", ("B", 2)), "text": "front_end: waveform"},
    ),
    "channel": (
        None,
        {
            "inputs": (("audio", ("B", 1, "n")),),
            "output": ("e", ("B", 1, 2)),
            "axis": 2,
            "text": "front_end: waveform\noutput: e",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_graph_computes_what_model_and_map_do(case, world, noise):
    properties, graph = CASES[case]
    base, backend = world(properties, **graph)
    assert base.one_by_one == (case in {"one at a time", "samples"})
    map = random_map(7, backend.embed_dim)
    expected = map.apply(backend.embed(noise))
    content = build_one_graph(base, map, describe(backend, 7), WHERE)
    np.testing.assert_allclose(to_unit(run(content, noise)), to_unit(expected), atol=1e-5)
    np.testing.assert_allclose(to_unit(run(content, noise[1:2])), to_unit(expected[1:2]), atol=1e-5)


@pytest.mark.parametrize("case", ["batches", "one at a time", "bins first"])
def test_graph_without_front_end_reads_frames_and_bins(case, world, noise):
    properties, graph = CASES[case]
    base, backend = world(properties, **graph)
    content = build_one_graph(base, None, describe(backend, 160, "features"), WHERE)
    features = np.stack(list(map(build_front_end(backend.description.front_end, 16_000), noise)))
    np.testing.assert_allclose(to_unit(run(content, features, "features")), to_unit(backend.embed(noise)), atol=1e-6)


@pytest.mark.parametrize("case", ["batches", "one at a time", "nemo"])
def test_openvino_computes_the_same(case, world, noise):
    properties, graph = CASES[case]
    base, backend = world(properties, **graph)
    content = build_one_graph(base, None, describe(backend, 160), WHERE)
    compiled = openvino.Core().compile_model(openvino.Core().read_model(content, b""), "CPU", F32)
    np.testing.assert_allclose(to_unit(compiled([noise])[0]), to_unit(backend.embed(noise)), atol=1e-4)


def test_lengths_may_be_parts_of_the_longest_recording(tmp_path, noise):
    path = tmp_path / "base.onnx"
    write_nemo_graph(path)
    model = onnx.load(path)
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.save(model, path)
    base, backend = open_base(path)
    found = run(build_one_graph(base, None, describe(backend, 160), WHERE), noise)
    np.testing.assert_allclose(found, backend.embed(noise), atol=1e-4)


def test_sparse_weights_are_kept(tmp_path, noise):
    path = write_speaker_graph(tmp_path / "base.onnx", WESPEAKER)
    model = onnx.load(path)
    values = helper.make_tensor("offset", TensorProto.FLOAT, [2], [5.0, -3.0])
    places = helper.make_tensor("places", TensorProto.INT64, [2], [1, 90])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [160]))
    model.graph.node[-1].output[0] = "inner"
    model.graph.node.append(helper.make_node("Add", ["inner", "offset"], ["embs"]))
    onnx.save(model, path)
    base, backend = open_base(path)
    found = run(build_one_graph(base, None, describe(backend, 160), WHERE), noise)
    np.testing.assert_allclose(found, backend.embed(noise), atol=1e-4)


def test_zero_embedding_has_no_direction(world):
    base, backend = world(
        text="front_end: waveform", properties=None, inputs=(("audio", ("B", "n")),), output=("e", ("B", 2))
    )
    content = build_one_graph(base, random_map(7, 2), describe(backend, 7), WHERE)
    assert not np.isfinite(run(content, np.zeros((1, 8_000), np.float32))).any()


def test_nothing_else_of_the_file_is_kept(world):
    unread = helper.make_node("Mul", ["feats", "secret"], ["other"], doc_string="a stack trace")
    secret = helper.make_tensor("secret", TensorProto.FLOAT, [1], [7.0])
    base, backend = world(nodes=[unread], constants=[secret], others=[("other", ("B", "T", 80))])
    base.proto.graph.node[0].doc_string = "another"
    model = onnx.load_from_string(build_one_graph(base, None, describe(backend, 160), WHERE))
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["waveform", "embedding"]
    assert [each.key for each in model.metadata_props] == ["mrlspk"]
    assert not any("secret" in each.name for each in model.graph.initializer)
    assert not any("base/other" in node.output or node.doc_string for node in model.graph.node)


@pytest.mark.parametrize("batch", ["B", 1])
def test_functions_that_the_model_calls_are_kept_and_no_others(batch, tmp_path, noise):
    path = write_speaker_graph(
        tmp_path / "base.onnx", WESPEAKER, inputs=(("feats", (batch, "T", 80)),), output=("embs", (batch, 160))
    )
    model, opset = onnx.load(path), [helper.make_opsetid("", 18)]
    body = helper.make_node("Exp", ["x"], ["y"])
    model.functions.extend(helper.make_function("local", name, ["x"], ["y"], [body], opset) for name in ("used", "not"))
    model.graph.node[-1].output[0] = "inner"
    model.graph.node.append(helper.make_node("used", ["inner"], ["embs"], domain="local"))
    model.opset_import.append(helper.make_opsetid("local", 1))
    onnx.save(model, path)
    base, backend = open_base(path)
    content = build_one_graph(base, None, describe(backend, 160), WHERE)
    assert [each.name for each in onnx.load_from_string(content).functions] == ["used"]
    np.testing.assert_allclose(to_unit(run(content, noise)), to_unit(backend.embed(noise)), atol=1e-5)


@pytest.mark.parametrize("case", ["batches", "one at a time"])
def test_values_around_the_model_are_named_for_lower_precisions(case, world):
    properties, graph = CASES[case]
    base, backend = world(properties, **graph)
    model = onnx.load_from_string(build_one_graph(base, None, describe(backend, 160), WHERE))
    assert {FEATURES, FRAMES} <= {name for node in model.graph.node for name in node.output}


def test_old_opset_is_refused(world):
    base, backend = world(opsets=(("", 18),))
    base.proto.opset_import[0].version = 10
    with pytest.raises(CheckpointError, match="uses the ONNX opset 10, expected 11 or later"):
        build_one_graph(base, None, describe(backend, 160), WHERE)


def test_real_model_with_its_front_end_inside_embeds_the_same(shared):
    path = shared / "pretrained" / "campplus-zh-en.onnx"
    safe = read_safe_graph(path)
    backend = open_speaker_model(safe, find_description(safe, path), path)
    base = BaseGraph(safe.proto, backend.description, one_by_one=False)
    item = json.loads((shared / "golden" / "onnx" / "campplus-zh-en.json").read_text())["items"][0]
    samples, _ = soundfile.read(shared / "speech" / "test" / item["file"], dtype="float32", frames=48_000)
    vector = run(build_one_graph(base, None, describe(backend, 192), path), samples[None])
    np.testing.assert_allclose(to_unit(vector), to_unit(backend.embed(samples[None])), atol=1e-5)
