"""Convert an ONNX graph to a model of OpenVINO."""

from pathlib import Path

from mrlspk.errors import MissingDependencyError
from mrlspk.models.export.openvino_pools import allow_short_signals
from mrlspk.models.graph_metadata import PROPERTY, GraphMetadata


def save_openvino(graph: bytes, path: Path, metadata: GraphMetadata) -> None:
    """Write an ONNX file as ``path``, a .xml file, and a .bin file of the same stem.

    Input and output are those of the graph. The metadata are the runtime information ``mrlspk``, as JSON. Weights stay
    in float32: OpenVINO would halve them.

    Raises:
        MissingDependencyError: If the package openvino is not installed.
        OSError: If the files cannot be written.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "OpenVINO is not installed", path, "Type: pip install 'mrlspk[openvino]'"
        ) from error
    model = openvino.Core().read_model(graph, b"")
    allow_short_signals(model)
    model.set_rt_info(metadata.model_dump_json(), PROPERTY)
    openvino.save_model(model, path, compress_to_fp16=False)
