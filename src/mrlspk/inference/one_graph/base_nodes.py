"""Add the graph of a speaker model to a graph: what its front end computes in, its embedding out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrlspk.inference.one_graph.front_end_nodes import size_of
from mrlspk.inference.one_graph.nodes import Nodes
from mrlspk.inference.one_graph.pruning import computing
from mrlspk.inference.speaker_models.description import Description
from mrlspk.inference.speaker_models.front_ends import NemoMel, Waveform
from mrlspk.inference.speaker_models.graph_ports import FLOAT

if TYPE_CHECKING:
    import onnx

PREFIX = "base"


@dataclass(frozen=True)
class BaseGraph:
    """The graph of a speaker model, as it is run.

    Attributes:
        proto: The file, checked.
        description: Of its front end, input and output.
        one_by_one: The graph takes no batch of several.
    """

    proto: "onnx.ModelProto"
    description: Description
    one_by_one: bool


def add_base(nodes: Nodes, base: BaseGraph, features: str, *, name: str) -> str:
    """Add the nodes and weights of a speaker model, each name with a prefix; parts that nothing reads are left out.

    A graph that takes no batches becomes the body of a loop over the recordings.

    Args:
        nodes: Of the graph.
        base: The model.
        features: Name of (batch, frames, bins), or of (batch, samples).
        name: Of the output.

    Returns:
        The name of (batch, embed_dim).
    """
    if not base.one_by_one:
        return nodes.reshape(_add_graph(nodes, base, features), [0, -1], name=name)
    from onnx import TensorProto, helper

    row, front_end = f"{PREFIX}/row", base.description.front_end
    bins = [] if isinstance(front_end, Waveform) else [front_end.bins]
    body = Nodes(f"{PREFIX}_body")
    vector = body.reshape(_add_graph(body, base, body.reshape(row, [1, -1, *bins])), [-1])
    inputs = [helper.make_tensor_value_info(row, TensorProto.FLOAT, [None, *bins])]
    outputs = [helper.make_tensor_value_info(vector, TensorProto.FLOAT, [None])]
    graph = helper.make_graph(body.nodes, "one_recording", inputs, outputs, body.constants)
    graph.sparse_initializer.extend(body.sparse)
    return nodes.add("Scan", features, body=graph, num_scan_inputs=1, name=name)


def _add_graph(nodes: Nodes, base: BaseGraph, features: str) -> str:
    """Add the nodes of a speaker model and what its input needs; return the name of its output."""
    import onnx

    described = base.description
    graph = computing(base.proto.graph, described.output.name)
    onnx.compose.add_prefix_graph(graph, f"{PREFIX}/", inplace=True)
    signal = _pad_frames(nodes, described, features)
    nodes.add("Identity", _arrange(nodes, described, signal), name=f"{PREFIX}/{described.input.name}")
    if described.lengths:
        _add_lengths(nodes, described, features, name=f"{PREFIX}/{described.lengths.name}")
    nodes.nodes.extend(graph.node)
    nodes.constants.extend(graph.initializer)
    nodes.sparse.extend(graph.sparse_initializer)
    return f"{PREFIX}/{described.output.name}"


def _arrange(nodes: Nodes, described: Description, features: str) -> str:
    """Bring (batch, time, bins) or (batch, time) into the order of axes of the graph."""
    if isinstance(described.front_end, Waveform):
        return nodes.reshape(features, [0, 1, -1]) if "channel" in described.axes else features
    order = [("batch", "time", "bins").index(axis) for axis in described.axes]
    return features if order == [0, 1, 2] else nodes.add("Transpose", features, perm=order)


def _pad_frames(nodes: Nodes, described: Description, features: str) -> str:
    """Append zero frames up to a multiple, if the front end asks for it."""
    if not isinstance(described.front_end, NemoMel) or described.front_end.pad_to == 1:
        return features
    size = nodes.constant([described.front_end.pad_to])
    over = nodes.add("Mod", size_of(nodes, features, 1), size)
    missing = nodes.add("Mod", nodes.add("Sub", size, over), size)
    before, bins = nodes.constant([0, 0, 0, 0]), nodes.constant([0])
    return nodes.add("Pad", features, nodes.add("Concat", before, missing, bins, axis=0))


def _add_lengths(nodes: Nodes, described: Description, features: str, *, name: str) -> None:
    """Add the input of lengths: the number of real frames, or the part of the longest as SpeechBrain has it."""
    from onnx import helper

    lengths = described.lengths
    assert lengths is not None
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(lengths.kind))
    length = nodes.constant([1.0]) if lengths.kind == FLOAT else size_of(nodes, features, 1)
    batch = size_of(nodes, features, 0)
    nodes.add("Expand", nodes.add("Cast", length, to=kind), batch, name=name)
