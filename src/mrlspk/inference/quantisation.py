"""Quantise the network of an exported graph to int8 with ONNX Runtime, calibrated on real recordings."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MissingDependencyError, UsageError
from mrlspk.inference.graph_file import no_parts, read_graph
from mrlspk.inference.onnx_backend import INSTALL, OnnxBackend, open_session
from mrlspk.models.graph_metadata import FEATURES, FRAMES, GraphMetadata

if TYPE_CHECKING:
    import onnx

PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}  # BatchNorm is folded: nothing is left to prepare
MOST_RECORDINGS = 16  # more do not change the ranges much


def quantise(path: Path, metadata: GraphMetadata, sample: Sequence[NDArray[np.float32]]) -> OnnxBackend:
    """Return a graph with the convolutions of its network in int8; front end, pooling and head stay in f32.

    Grouped convolutions stay in f32 too: ONNX Runtime has no fast int8 kernels for them.

    Args:
        path: Of a file that `mrlspk export` wrote.
        metadata: Of its graph.
        sample: Waveforms (samples,) that the values of the network are measured on; the first 16 that are long enough.

    Raises:
        UsageError: If no waveform of the sample is long enough.
        CheckpointError: If the graph does not name the values between its parts.
        MissingDependencyError: If the packages that quantise are not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingDependencyError("int8 needs the packages onnx and onnxruntime", path, INSTALL) from error
    used = [waveform for waveform in sample if len(waveform) >= metadata.min_samples][:MOST_RECORDINGS]
    if not used:
        raise UsageError("int8 needs recordings to measure the network on", parameter="precision")
    model = onnx.load_from_string(read_graph(path))
    session = open_session(_quantised(model, _dense_convolutions(model, path), used), path)
    measured = hashlib.sha256(b"".join(waveform.tobytes() for waveform in used)).hexdigest()[:16]
    return OnnxBackend(session, metadata, f"int8 {measured}")


def _quantised(model: "onnx.ModelProto", nodes: list[str], sample: Sequence[NDArray[np.float32]]) -> bytes:
    """Return the file of a graph with these nodes in int8: activations per tensor, weights per channel."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
        def __init__(self) -> None:
            self._waveforms: Iterator[NDArray[np.float32]] = iter(sample)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            waveform = next(self._waveforms, None)
            return None if waveform is None else {"waveform": waveform[None]}

    onnx.helper.set_model_props(model, {each.key: each.value for each in model.metadata_props} | PREPARED)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            made,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=nodes,
        )
        return made.read_bytes()


def _dense_convolutions(model: "onnx.ModelProto", where: Path) -> list[str]:
    """Return the names of the convolutions between features and frames that have one group.

    Raises:
        CheckpointError: If the graph does not name these two values.
    """
    known, found = {FEATURES}, []
    for node in model.graph.node:  # in the order of computation
        if known.isdisjoint(node.input):
            continue
        if node.op_type == "Conv" and all(each.i == 1 for each in node.attribute if each.name == "group"):
            found.append(node.name)
        known.update(node.output)
        if FRAMES in node.output:
            return found
    raise no_parts(FRAMES, where)
