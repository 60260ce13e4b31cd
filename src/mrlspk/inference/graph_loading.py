"""Load an exported graph into a runtime, and check there that it computes what PyTorch did."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError
from mrlspk.inference.backend import BackendName, LoadedBackend, Precision
from mrlspk.inference.graph_backend import GraphBackend
from mrlspk.inference.onnx_backend import read_onnx_backend
from mrlspk.inference.openvino_backend import read_openvino_backend
from mrlspk.inference.parity import check_parity
from mrlspk.inference.precision import compare_precision
from mrlspk.inference.quantisation import quantise

# In this order. OpenVINO can be faster on one length, but takes more for each new one.
RUNTIMES: dict[Precision, tuple[BackendName, ...]] = {
    "f32": ("onnxruntime", "openvino"),
    "bf16": ("openvino",),
    "int8": ("onnxruntime",),
}

log = logging.getLogger("mrlspk.inference")


def load_graph(
    path: Path,
    *,
    device: str = "auto",
    backend: BackendName = "auto",
    precision: Precision = "f32",
    sample: Sequence[NDArray[np.float32]] = (),
) -> LoadedBackend:
    """Return the backend of a file that `mrlspk export` wrote, after its parity check in f32.

    Args:
        path: Of the file.
        device: ``auto`` or ``cpu``.
        backend: ``onnxruntime`` or ``openvino``. ``auto``, and ``torch`` too: the first that is installed and passes.
        precision: ``f32``, ``bf16`` (OpenVINO) or ``int8`` (ONNX Runtime).
        sample: Waveforms (samples,) that a lower precision is compared with f32 on; int8 is calibrated on them.

    Raises:
        CheckpointError: If it is not such a file, or fails its parity check.
        UsageError: If the runtime or the processor has no such precision, or int8 has no sample.
        MissingDependencyError: If the runtime is not installed, or the device is not the CPU.
    """
    if device not in {"auto", "cpu"}:
        what = f"an exported model does not run on {device}"
        raise MissingDependencyError(what, path, "Use `device=cpu`.", parameter="device")
    names = RUNTIMES[precision] if backend in {"auto", "torch"} else (backend,)
    if not set(names) <= set(RUNTIMES[precision]):
        fix = f"Use `backend={RUNTIMES[precision][0]}`."
        raise UsageError(f"{backend} does not embed in {precision}", fix=fix, parameter="precision")
    exact = _first_that_passes(path, names)
    loaded = LoadedBackend(exact, config=exact.metadata.config, metadata=exact.metadata)
    return loaded if precision == "f32" else _lowered(loaded, exact, path, precision, sample)


def _first_that_passes(path: Path, names: Sequence[BackendName]) -> GraphBackend:
    """Return the first runtime, in f32, that is installed and passes its parity check.

    Raises:
        CheckpointError, MissingDependencyError: Why the first one is not used, if none is.
    """
    faults: list[CheckpointError | MissingDependencyError] = []
    for name in names:
        try:
            exact = read_onnx_backend(path) if name == "onnxruntime" else read_openvino_backend(path)
            check_parity(exact, exact.metadata, path)
        except (CheckpointError, MissingDependencyError) as error:
            faults.append(error)
            continue
        for fault in faults:
            log.info("embedding with %s: %s", name, fault.what)
        return exact
    raise faults[0]


def _lowered(
    loaded: LoadedBackend,
    exact: GraphBackend,
    path: Path,
    precision: Precision,
    sample: Sequence[NDArray[np.float32]],
) -> LoadedBackend:
    """Return the same graph in a lower precision, with its cosine to f32."""
    if precision == "bf16":
        lower: GraphBackend = read_openvino_backend(path, precision)
    else:
        lower = quantise(path, exact.metadata, sample)
    return replace(loaded, backend=lower, precision_cosine=compare_precision(lower, exact, sample))
