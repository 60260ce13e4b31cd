"""Write ONNX files like those of `mrlspk export`: the embedding is the mean and the mean square of the waveform."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from mrlspk.models.graph_metadata import GraphMetadata, check_signal

MIN_SAMPLES = 400
LENGTHS = (4_800, 16_000)


def moments(waveforms):
    """Return what the graph computes, (batch, 2), from its definition."""
    return np.stack([waveforms.mean(1), np.square(waveforms).mean(1)], 1)


def moments_metadata(**changes):
    """Return the description of the graph, with checks."""
    described = {
        "dims": (1, 2),
        "sample_rate": 16_000,
        "min_samples": MIN_SAMPLES,
        "fingerprint": "moments",
        "family": "test",
        "licence": "MIT",
    }
    metadata = GraphMetadata(**described | changes)
    return metadata.with_checks({n: moments(check_signal(n)[None])[0] for n in LENGTHS})


def moments_graph(metadata, *, scale=1.0):
    """Return the ONNX model; its mean square is off by ``scale``. No metadata: an ONNX file of others."""
    nodes = [
        helper.make_node("ReduceMean", ["waveform", "last"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["waveform", "waveform"], ["square"]),
        helper.make_node("ReduceMean", ["square", "last"], ["power"], keepdims=1),
        helper.make_node("Mul", ["power", "scale"], ["scaled"]),
        helper.make_node("Concat", ["mean", "scaled"], ["embedding"], axis=1),
    ]
    constants = [
        helper.make_tensor("last", TensorProto.INT64, [1], [1]),
        helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale]),
    ]
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "moments", [waveform], [embedding], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if metadata is not None:
        helper.set_model_props(model, metadata.properties())
    return model


def write_moments(path, metadata=None, *, scale=1.0):
    """Write the graph of ours, and return its path."""
    onnx.save(moments_graph(metadata or moments_metadata(), scale=scale), path)
    return path
