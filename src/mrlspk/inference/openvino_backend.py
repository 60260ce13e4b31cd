"""Run an exported graph in OpenVINO on the CPU, its network in f32 or bf16."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError, shorten
from mrlspk.inference.backend import Precision
from mrlspk.inference.graph_backend import GraphBackend, usable_processors
from mrlspk.inference.graph_file import NOT_OURS, read_graph, waveform_metadata
from mrlspk.inference.openvino_parts import split_graph
from mrlspk.models.export.openvino_pools import allow_short_signals
from mrlspk.models.graph_metadata import GraphMetadata

if TYPE_CHECKING:
    import openvino

INSTALL = "Type: pip install 'mrlspk[openvino]'"
# OpenVINO's own cache of kernels grows with every length, and alternating lengths are no slower without it.
KEPT_KERNELS = 0


class OpenVinoBackend(GraphBackend):
    """Compiled parts of a graph as a `Backend`; each thread that calls it has a stream and requests of its own.

    Args:
        parts: Run one after another: the whole graph, or front end, network, and pooling with the head.
        metadata: Of the graph.
        precision: Of the network.
    """

    def __init__(
        self, parts: "list[openvino.CompiledModel]", metadata: GraphMetadata, precision: Precision = "f32"
    ) -> None:
        super().__init__(metadata)
        self._precision = precision
        self._free: LifoQueue[list[openvino.InferRequest]] = LifoQueue()
        for _ in range(self.concurrency):
            self._free.put([part.create_infer_request() for part in parts])

    @property
    def runtime(self) -> Mapping[str, str]:
        """The version of OpenVINO, the device and the precision."""
        import openvino

        return {"openvino": openvino.__version__, "device": "cpu", "precision": self._precision}

    def _run(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        values = waveforms
        with self._requests() as requests:
            try:
                for request in requests:
                    values = request.infer([values], share_inputs=True, share_outputs=True)[0]
            except RuntimeError as error:
                what = f"OpenVINO cannot run the model on {waveforms.shape[1]} samples: {_reason(error)}"
                raise CheckpointError(what, fix="Use `backend=onnxruntime`.") from error
            return values.copy()  # the request's own memory, which its next call overwrites

    @contextmanager
    def _requests(self) -> "Iterator[list[openvino.InferRequest]]":
        """Yield a set of requests that no other thread has in the block."""
        requests = self._free.get()
        try:
            yield requests
        finally:
            self._free.put(requests)


def read_openvino_backend(path: Path, precision: Precision = "f32") -> OpenVinoBackend:
    """Return the backend of a file that `mrlspk export` wrote.

    Args:
        path: Of the ONNX file.
        precision: ``f32`` or ``bf16``, of the network; front end, pooling and head stay in f32.

    Raises:
        CheckpointError: If it is not an ONNX file, not one of ours, or reads features in place of waveforms.
        UsageError: If this processor has no bf16.
        MissingDependencyError: If OpenVINO is not installed.
    """
    core = _core(path)
    if precision == "bf16" and not _has_bf16(core):
        raise UsageError("this processor does not compute in bf16", parameter="precision")
    model = _read_graph(core, path)
    metadata = waveform_metadata(_properties(model), path)
    if precision == "f32":
        parts = [_compile(core, model, "f32")]
    else:
        pieces = split_graph(model, path)
        parts = [_compile(core, piece, each) for piece, each in zip(pieces, ("f32", precision, "f32"), strict=True)]
    return OpenVinoBackend(parts, metadata, precision)


def _has_bf16(core: "openvino.Core") -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core(where: Path) -> "openvino.Core":
    try:
        import openvino  # noqa: F401 - to see that it is there
    except ModuleNotFoundError as error:
        raise MissingDependencyError("OpenVINO is not installed", where, INSTALL) from error
    return shared_core()


@cache
def shared_core() -> "openvino.Core":
    """Return the one core of this process.

    The CPU plug-in of a core gives its thread a stack for signals, and takes it back when the core goes. If a second
    core goes after the first, it sets the stack of the first again, whose memory is gone: the next Ctrl-C ends the
    process with a segmentation fault.
    """
    import openvino

    return openvino.Core()


def _read_graph(core: "openvino.Core", path: Path) -> "openvino.Model":
    """Return the graph of an ONNX file.

    Raises:
        CheckpointError: If OpenVINO cannot read it.
    """
    content = read_graph(path)
    try:
        model = core.read_model(content, b"")
    except RuntimeError as error:
        raise CheckpointError("is not a whole ONNX file", path, NOT_OURS) from error
    allow_short_signals(model)
    return model


def _properties(model: "openvino.Model") -> dict[str, str]:
    """Return the string properties of the ONNX file that a graph was read from."""
    sections = dict(model.get_rt_info().items())
    return {name: str(value.value) for name, value in sections.get("framework", {}).items()}


def _reason(error: RuntimeError) -> str:
    """Return the last line of an error of OpenVINO; those before it say where in its source."""
    return shorten(str(error).strip().splitlines()[-1])


def _compile(core: "openvino.Core", model: "openvino.Model", precision: str) -> "openvino.CompiledModel":
    threads = usable_processors()
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "ENABLE_CPU_PINNING": False,  # other processes use these processors too
        "CPU_RUNTIME_CACHE_CAPACITY": KEPT_KERNELS,
    }
    return core.compile_model(model, "CPU", settings)
