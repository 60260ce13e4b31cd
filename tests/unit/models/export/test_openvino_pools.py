import numpy as np
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper

from mrlspk.models.export.openvino_conversion import save_openvino
from mrlspk.models.export.openvino_pools import allow_short_signals
from mrlspk.models.graph_metadata import GraphMetadata

WINDOW = 10


def pool(**attributes):
    """Return an ONNX graph that takes the mean of windows, of which the last may be short."""
    sizes = {"kernel_shape": [WINDOW], "strides": [WINDOW], "ceil_mode": 1} | attributes
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 2, name]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("AveragePool", ["x"], ["y"], **sizes)], "pool", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9).SerializeToString()


def run_openvino(content, values):
    model = openvino.Core().read_model(content, b"")
    allow_short_signals(model)
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([values])[0]


@pytest.mark.parametrize("length", [1, 9, 10, 11, 25, 30])
@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_short_last_window_is_the_mean_of_what_there_is(length, count_include_pad):
    values = np.random.default_rng(0).normal(3, 1, (2, 2, length)).astype(np.float32)
    content = pool(count_include_pad=count_include_pad)
    found = run_openvino(content, values)
    parts = [values[..., start : start + WINDOW].mean(-1) for start in range(0, length, WINDOW)]
    np.testing.assert_allclose(found, np.stack(parts, -1), rtol=1e-5)
    np.testing.assert_allclose(found, onnxruntime.InferenceSession(content).run(None, {"x": values})[0], rtol=1e-5)


@pytest.mark.parametrize("attributes", [{"strides": [5]}, {"ceil_mode": 0}, {"pads": [1, 1]}])
def test_other_pools_stay_as_they_are(attributes):
    model = openvino.Core().read_model(pool(**attributes), b"")
    before = [each.get_type_name() for each in model.get_ordered_ops()]
    allow_short_signals(model)
    assert [each.get_type_name() for each in model.get_ordered_ops()] == before


def test_saved_model_reads_short_signals(tmp_path):
    metadata = GraphMetadata(dims=(1,), sample_rate=1, min_samples=1, fingerprint="", family="", licence="")
    save_openvino(pool(), tmp_path / "m.xml", metadata)
    found = openvino.Core().compile_model(tmp_path / "m.xml", "CPU")([np.ones((1, 2, 3), np.float32)])[0]
    np.testing.assert_allclose(found, np.ones((1, 2, 1)), rtol=1e-2)
