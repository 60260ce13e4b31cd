"""Write an encoder as a model of OpenVINO: the graph in a .xml file, the weights in a .bin file beside it."""

from pathlib import Path

from mrlspk.errors import MissingDependencyError
from mrlspk.models.encoder import Encoder
from mrlspk.models.export.onnx_file import write_onnx
from mrlspk.models.graph_metadata import PROPERTY, GraphMetadata


def write_openvino(encoder: Encoder, path: Path, metadata: GraphMetadata) -> None:
    """Write an encoder as ``path``, a .xml file, and a .bin file of the same stem.

    Input and output are those of `write_onnx`. The metadata are the runtime information ``mrlspk``, as JSON. Weights
    stay in float32: OpenVINO would halve them.

    Raises:
        MissingDependencyError: If the package openvino or onnx is not installed.
        OSError: If the files cannot be written.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "OpenVINO is not installed", path, "Type: pip install 'mrlspk[openvino]'"
        ) from error
    graph = path.with_suffix(".onnx")
    try:
        write_onnx(encoder, graph, metadata)
        model = openvino.Core().read_model(graph.read_bytes(), b"")
    finally:
        graph.unlink(missing_ok=True)
    model.set_rt_info(metadata.model_dump_json(), PROPERTY)
    openvino.save_model(model, path, compress_to_fp16=False)
