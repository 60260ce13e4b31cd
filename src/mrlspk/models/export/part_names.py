"""Name the values between the parts of an exported graph, and its number of frames, for the runtimes that read it."""

from typing import TYPE_CHECKING

from mrlspk.models.graph_metadata import FEATURES, FRAMES

if TYPE_CHECKING:
    import onnx

NETWORK, SUM_OF_STREAMS = "/backbone/", "/terms."  # the exporter names operations by the module that they come from


def name_parts(model: "onnx.ModelProto") -> None:
    """Rename what the network reads to ``features`` and what it returns to ``frames``, in place.

    Raises:
        ValueError: If the network reads or returns several values.
    """
    weights = {each.name for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type != "Constant" and not _is_copy_of(weights, node)]
    network = [node for node in nodes if NETWORK in node.name]
    others = [node for node in nodes if NETWORK not in node.name]
    computed = {name for node in others for name in node.output} | {each.name for each in model.graph.input}
    read = {name for node in network for name in node.input} & computed
    returned = {name for node in network for name in node.output} & {name for node in others for name in node.input}
    if len(read) != 1 or len(returned) != 1:
        raise ValueError(f"expected one value on each side of the network, got {sorted(read)} and {sorted(returned)}")
    new_names = {read.pop(): FEATURES, returned.pop(): FRAMES}
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [new_names.get(name, name) for name in names]


def name_frames(model: "onnx.ModelProto", *, time_stride: int) -> None:
    """Tell a runtime which values of the network have the same number of frames, in place.

    ONNX Runtime adds two values in its own layout only if it knows that their shapes are equal.

    Args:
        model: Exported graph.
        time_stride: Of the backbone. With 1 all images have as many frames, else the streams alone.
    """
    from onnx import TensorProto, helper

    wanted = NETWORK if time_stride == 1 else SUM_OF_STREAMS
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and wanted in node.name]
    named = {name for node in convolutions for name in (node.input[0], node.output[0])}
    shape = ["batch", None, None, "frames"]
    model.graph.value_info.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in named)


def _is_copy_of(weights: set[str], node: "onnx.NodeProto") -> bool:
    """Return whether a node gives weights a second name: the exporter keeps equal weights once."""
    return node.op_type == "Identity" and node.input[0] in weights
