"""Split a graph into front end, network, and pooling with the head, so that OpenVINO can compile each by itself."""

from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.inference.graph_file import no_parts
from mrlspk.models.graph_metadata import FEATURES, FRAMES

if TYPE_CHECKING:
    import openvino


def split_graph(model: "openvino.Model", where: Path) -> "tuple[openvino.Model, openvino.Model, openvino.Model]":
    """Return front end, network, and pooling with the head; the graph is taken apart and cannot be used any more.

    Args:
        model: An exported graph.
        where: Its file.

    Raises:
        CheckpointError: If the graph does not name the values between its parts.
    """
    import openvino
    from openvino import opset13

    features, frames = _find(model, FEATURES, where), _find(model, FRAMES, where)
    inputs, results = model.get_parameters(), model.get_results()
    to_network, to_pooling = _cut(features), _cut(frames)
    front_end = openvino.Model([opset13.result(features)], inputs, "front end")
    network = openvino.Model([opset13.result(frames)], [to_network], "network")
    return front_end, network, openvino.Model(results, [to_pooling], "pooling and head")


def _find(model: "openvino.Model", name: str, where: Path) -> "openvino.Output":
    """Return the value of this name."""
    for operation in model.get_ops():
        for output in operation.outputs():
            if name in output.get_names():
                return output
    raise no_parts(name, where)


def _cut(output: "openvino.Output") -> "openvino.op.Parameter":
    """Let everything that reads ``output`` read a new input instead, and return that."""
    import openvino
    from openvino import opset13

    parameter = opset13.parameter(output.get_partial_shape(), openvino.Type.f32)
    for reader in list(output.get_target_inputs()):
        reader.replace_source_output(parameter.output(0))
    return parameter
