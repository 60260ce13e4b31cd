"""Write an encoder as a model of OpenVINO: the graph in a .xml file, the weights in a .bin file beside it."""

from pathlib import Path

from mrlspk.models.encoder import Encoder
from mrlspk.models.export.onnx_file import write_onnx
from mrlspk.models.export.openvino_conversion import save_openvino
from mrlspk.models.graph_metadata import GraphMetadata


def write_openvino(encoder: Encoder, path: Path, metadata: GraphMetadata) -> None:
    """Write an encoder as ``path``, a .xml file, and a .bin file of the same stem.

    Raises:
        MissingDependencyError: If the package openvino or onnx is not installed.
        OSError: If the files cannot be written.
    """
    graph = path.with_suffix(".onnx")
    try:
        write_onnx(encoder, graph, metadata)
        save_openvino(graph.read_bytes(), path, metadata)
    finally:
        graph.unlink(missing_ok=True)
