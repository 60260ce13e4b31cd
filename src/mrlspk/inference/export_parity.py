"""Compare an exported model with the model that it was exported from, on signals of several lengths and batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import CheckpointError, shorten
from mrlspk.inference.onnx_backend import open_session, runtime_faults
from mrlspk.inference.parity import TOLERANCE, to_unit
from mrlspk.models.graph_metadata import GraphInput, check_signal

CHECKED_SECONDS = 0.3, 1.0, 3.0, 10.0
BATCHES = 1, 5
SHIFT = 37  # samples between the signals of a batch

type ExportFormat = Literal["onnx", "torchscript", "safetensors", "openvino"]
type Values = NDArray[np.float32]
type Runner = Callable[[Values], Values]


@dataclass(frozen=True)
class Difference:
    """How far an exported model is from its source, at worst.

    Attributes:
        max_difference: Of a value of the unit vectors.
        cosine: Of the embeddings.
    """

    max_difference: float
    cosine: float


def measure(pairs: Iterable[tuple[Values, Values]]) -> Difference:
    """Return the worst difference over pairs of embeddings (batch, embed_dim); NaN if any is no number."""
    differences, cosines = list[float](), list[float]()
    for found, expected in pairs:
        first, second = to_unit(found), to_unit(expected)
        differences.append(float(np.abs(first - second).max()))
        cosines.append(float((first * second).sum(1).min()))
    return Difference(float(np.max(differences)), float(np.min(cosines)))


def measure_small(pairs: Iterable[tuple[Values, Values]], path: Path, source: str) -> Difference:
    """Return the worst difference over pairs of embeddings, which must be small.

    Args:
        pairs: Of the exported model and of its source.
        path: Of the exported file.
        source: For error messages.

    Raises:
        CheckpointError: If a value of a unit vector differs by more than 1e-4, or is no number.
    """
    worst = measure(pairs)
    if not (worst.max_difference <= TOLERANCE and worst.cosine <= 1 + TOLERANCE):  # NaN too
        raise CheckpointError(
            f"the exported model differs from {source} by {worst.max_difference:.1g}, more than {TOLERANCE:g}",
            path.name,
            "It was not kept. Export the model in another format.",
        )
    return worst


def checked_waveforms(min_samples: int) -> Iterator[Values]:
    """Yield the waveforms (batch, samples) that are compared."""
    for seconds in CHECKED_SECONDS:
        n_samples = max(min_samples, round(seconds * SAMPLE_RATE))
        signal = check_signal(n_samples + SHIFT * max(BATCHES))
        for batch in BATCHES:
            yield np.stack([signal[SHIFT * row : SHIFT * row + n_samples] for row in range(batch)])


def open_graph(path: Path, format: ExportFormat, input: GraphInput) -> Runner:
    """Return the function that an ONNX or OpenVINO file computes.

    Raises:
        CheckpointError: If its runtime cannot read it; the function raises it if the runtime cannot run it.
        MissingDependencyError: If the runtime is not installed.
    """
    if format == "onnx":
        session = open_session(path.read_bytes(), path)
        return _guarded(lambda values: session.run(["embedding"], {input: values})[0], runtime_faults(), path)
    from mrlspk.inference.openvino_backend import shared_core  # installed: it has just written the file

    compiled = shared_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return _guarded(lambda values: compiled([values])[0].copy(), (RuntimeError,), path)


def _guarded(run: Runner, faults: tuple[type[Exception], ...], path: Path) -> Runner:
    """Return a function that raises a CheckpointError where a runtime raises an error of its own."""

    def guarded(values: Values) -> Values:
        try:
            return run(values)
        except faults as error:
            reason = shorten(str(error).strip().splitlines()[-1])
            what = f"the exported model does not run on an input of {values.shape}: {reason}"
            raise CheckpointError(what, path.name, "It was not kept. Export the model in another format.") from error

    return guarded
