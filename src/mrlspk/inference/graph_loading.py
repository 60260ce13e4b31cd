"""Load an exported graph into a runtime, and check there that it computes what PyTorch did."""

from pathlib import Path

from mrlspk.errors import MissingDependencyError, UsageError
from mrlspk.inference.backend import BackendName, LoadedBackend, Precision
from mrlspk.inference.onnx_backend import read_onnx_backend
from mrlspk.inference.parity import check_parity


def load_graph(
    path: Path, *, device: str = "auto", backend: BackendName = "auto", precision: Precision = "f32"
) -> LoadedBackend:
    """Return the backend of a file that `mrlspk export` wrote.

    Args:
        path: Of the file.
        device: ``auto`` or ``cpu``.
        backend: ``onnxruntime``; ``auto`` and ``torch`` mean it too.
        precision: ``f32``.

    Raises:
        CheckpointError: If it is not such a file, or fails its parity check.
        UsageError: If the runtime has no such precision.
        MissingDependencyError: If the runtime is not installed, or the device is not the CPU.
    """
    if device not in {"auto", "cpu"}:
        raise MissingDependencyError(f"an exported model does not run on {device}", path, parameter="device")
    if backend == "openvino" or precision != "f32":
        raise UsageError(f"an exported model does not run in {backend} in {precision}", path, parameter="backend")
    loaded = read_onnx_backend(path)
    check_parity(loaded, loaded.metadata, path)
    return LoadedBackend(loaded, config=loaded.metadata.config, metadata=loaded.metadata)
