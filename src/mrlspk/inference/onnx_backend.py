"""Run an exported graph in ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError, MissingDependencyError
from mrlspk.inference.graph_backend import GraphBackend
from mrlspk.inference.graph_file import NOT_OURS, read_graph, waveform_metadata
from mrlspk.models.graph_metadata import GraphMetadata

if TYPE_CHECKING:
    import onnxruntime

INSTALL = "Type: pip install 'mrlspk[onnx]'"
OUTPUT = "embedding"


class OnnxBackend(GraphBackend):
    """A session of ONNX Runtime as a `Backend`.

    Args:
        session: With one thread; `open_session` makes one.
        metadata: Of its graph.
        precision: Of its network; for int8 with a checksum of the recordings that it was measured on.
    """

    def __init__(
        self, session: "onnxruntime.InferenceSession", metadata: GraphMetadata, precision: str = "f32"
    ) -> None:
        super().__init__(metadata)
        self._session, self._precision = session, precision

    @property
    def runtime(self) -> Mapping[str, str]:
        """The version of ONNX Runtime, the device and the precision."""
        import onnxruntime

        return {"onnxruntime": onnxruntime.__version__, "device": "cpu", "precision": self._precision}

    def _run(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._session.run([OUTPUT], {self.metadata.input: waveforms})[0]
        return vectors


def read_onnx_backend(path: Path) -> OnnxBackend:
    """Return the backend of a file that `mrlspk export` wrote.

    Raises:
        CheckpointError: If it is not an ONNX file, not one of ours, or reads features in place of waveforms.
        MissingDependencyError: If ONNX Runtime is not installed.
    """
    session = open_session(read_graph(path), path)
    return OnnxBackend(session, waveform_metadata(session.get_modelmeta().custom_metadata_map, path))


def open_session(content: bytes, where: Path) -> "onnxruntime.InferenceSession":
    """Return a session of an ONNX file whose calls run in the thread that makes them.

    Raises:
        CheckpointError: If ONNX Runtime cannot read it.
        MissingDependencyError: If ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingDependencyError("an ONNX model needs ONNX Runtime", where, INSTALL) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its errors are raised, and its warnings are about its own optimisations
    try:
        providers = ["CPUExecutionProvider"]
        return onnxruntime.InferenceSession(content, options, providers, enable_fallback=False)  # it would print
    except runtime_faults() as error:
        raise CheckpointError("is not a whole ONNX file", where, NOT_OURS) from error


def runtime_faults() -> tuple[type[Exception], ...]:
    """Return the errors that ONNX Runtime raises for a graph that it cannot read or run.

    A message that quotes a name which is not UTF-8 becomes a UnicodeDecodeError.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    names = "Fail InvalidArgument InvalidGraph InvalidProtobuf NotImplemented RuntimeException"
    return (*(getattr(errors, name) for name in names.split()), UnicodeDecodeError)
