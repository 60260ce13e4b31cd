"""Put front end, speaker model and map together as one ONNX file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrlspk.errors import CheckpointError
from mrlspk.inference.embedding_map import EmbeddingMap
from mrlspk.inference.one_graph.base_nodes import BaseGraph, add_base
from mrlspk.inference.one_graph.front_end_nodes import add_front_end
from mrlspk.inference.one_graph.nodes import Nodes
from mrlspk.inference.one_graph.pruning import called
from mrlspk.inference.speaker_models.front_ends import Waveform
from mrlspk.inference.speaker_models.graph_safety import LARGEST
from mrlspk.models.graph_metadata import FEATURES, FRAMES, GraphMetadata

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 11  # the first whose operators Pad and Slice read their sizes from inputs
LEAST_IR = 8  # the version of the file format; before 4, weights had to be inputs
OUTPUT = "embedding"


def build_one_graph(base: BaseGraph, map: EmbeddingMap | None, metadata: GraphMetadata, where: Path) -> bytes:
    """Return the ONNX file of a speaker model with its front end before it and a map after it.

    The graph reads ``waveform`` (batch, samples), or ``features`` (batch, frames, bins) where the metadata say so, and
    gives ``embedding`` (batch, values), not of unit length. Batch and length are free. Of the file of the speaker model
    it holds the nodes and weights that its embedding is computed from, and nothing else.

    Args:
        base: The speaker model.
        map: The map; None to give the embedding of the speaker model.
        metadata: Of the graph.
        where: Path of the speaker model.

    Raises:
        CheckpointError: If the speaker model uses an old opset or is no valid graph, or the file would be too large.
    """
    import onnx

    _check_opset(base.proto, where)
    nodes = Nodes("mrlspk")
    value = FEATURES
    if metadata.input == "waveform":
        value = add_front_end(nodes, base.description.front_end, metadata.input, metadata.sample_rate)
    vectors = add_base(nodes, base, value, name=FRAMES)
    if map is None:
        nodes.add("Identity", vectors, name=OUTPUT)
    else:
        _add_map(nodes, map, vectors)
    model = _model(nodes, base, metadata)
    if model.ByteSize() > LARGEST:
        raise CheckpointError(f"would be larger than {LARGEST:,} bytes as one graph", where)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise CheckpointError(f"is no valid ONNX graph: {str(error).splitlines()[0]}", where) from error
    content: bytes = model.SerializeToString()
    return content


def _check_opset(proto: "onnx.ModelProto", where: Path) -> None:
    opset = next((each.version for each in proto.opset_import if each.domain in {"", "ai.onnx"}), 0)
    if opset < OLDEST_OPSET:
        fix = f"Convert it with onnx.version_converter, or export it again for opset {OLDEST_OPSET} or later."
        raise CheckpointError(f"uses the ONNX opset {opset}, expected {OLDEST_OPSET} or later", where, fix)


def _add_map(nodes: Nodes, map: EmbeddingMap, vectors: str) -> None:
    """Divide vectors by their lengths and map them; a vector of zeros becomes no number, which is refused later."""
    ones = nodes.constant(np.ones((map.in_features, 1)))
    squares = nodes.add("MatMul", nodes.add("Mul", vectors, vectors), ones)
    unit = nodes.add("Div", vectors, nodes.add("Sqrt", squares))
    nodes.add("Gemm", unit, nodes.constant(map.weight), nodes.constant(map.bias), name=OUTPUT, transB=1)


def _model(nodes: Nodes, base: BaseGraph, metadata: GraphMetadata) -> "onnx.ModelProto":
    from onnx import TensorProto, helper

    front_end = base.description.front_end
    shape: list[str | int] = ["batch", "samples"]
    if metadata.input == "features":
        assert not isinstance(front_end, Waveform)
        shape = ["batch", "frames", front_end.bins]
    graph = helper.make_graph(
        nodes.nodes,
        "mrlspk",
        [helper.make_tensor_value_info(metadata.input, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", metadata.dims[-1]])],
        nodes.constants,
    )
    graph.sparse_initializer.extend(nodes.sparse)
    model = helper.make_model(
        graph,
        producer_name="mrlspk",
        opset_imports=base.proto.opset_import,
        functions=called(base.proto.functions, nodes.nodes),
        ir_version=max(LEAST_IR, base.proto.ir_version),
    )
    helper.set_model_props(model, metadata.properties())
    return model
