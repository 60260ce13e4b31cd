"""Write ONNX speaker models like those of other toolkits: the embedding is the mean and the root of the mean square."""

import numpy as np
import onnx
from onnx import TensorProto, helper

WESPEAKER = {
    "framework": "wespeaker",
    "language": "English",
    "url": "https://models.test/resnet34.onnx",
    "comment": "no comment",
    "sample_rate": "16000",
    "output_dim": "160",
    "normalize_samples": "0",
}
SPEAKER_3D = WESPEAKER | {
    "framework": "3d-speaker",
    "normalize_samples": "1",
    "feature_normalize_type": "global-mean",
}
NEMO = {
    "framework": "nemo",
    "language": "English",
    "sample_rate": "16000",
    "output_dim": "160",
    "feature_normalize_type": "per_feature",
    "window_size_ms": "25",
    "window_stride_ms": "10",
    "window_type": "hann",
    "feat_dim": "80",
}


def statistics(features, axis=-2):
    """Return what the graph computes of features (…, frames, bins), from its definition."""
    return np.concatenate([features.mean(axis), np.sqrt(np.square(features).mean(axis))], -1)


def speaker_graph(
    properties=None,
    *,
    inputs=(("feats", ("B", "T", 80)),),
    output=("embs", ("B", 160)),
    axis=1,
    nodes=(),
    constants=(),
    others=(),
    opsets=(("", 18),),
):
    """Return an ONNX model that reads features and returns their statistics over ``axis``.

    Args:
        properties: Metadata of the file.
        inputs: Name and shape of each; those after the first are whole numbers.
        output: Name and shape.
        axis: Of time.
        nodes: More nodes.
        constants: More tensors.
        others: More outputs, each with its shape.
        opsets: Domains and versions.
    """
    signal, name = inputs[0][0], output[0]
    body = [
        helper.make_node("ReduceMean", [signal, "time"], ["mean"], keepdims=0),
        helper.make_node("Mul", [signal, signal], ["square"]),
        helper.make_node("ReduceMean", ["square", "time"], ["power"], keepdims=0),
        helper.make_node("Sqrt", ["power"], ["root"]),
        helper.make_node("Concat", ["mean", "root"], [name], axis=-1),
        *nodes,
    ]
    kinds = [TensorProto.FLOAT, *[TensorProto.INT64] * (len(inputs) - 1)]
    graph = helper.make_graph(
        body,
        "statistics",
        [helper.make_tensor_value_info(*each, shape) for (*each, shape) in _typed(inputs, kinds)],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in (*others, output)],
        [helper.make_tensor("time", TensorProto.INT64, [1], [axis]), *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*each) for each in opsets], ir_version=9)
    helper.set_model_props(model, properties or {})
    return model


def _typed(inputs, kinds):
    return [(name, kind, shape) for (name, shape), kind in zip(inputs, kinds, strict=True)]


def write_speaker_graph(path, properties=None, **changes):
    """Write the graph, and return its path."""
    onnx.save(speaker_graph(properties, **changes), path)
    return path
