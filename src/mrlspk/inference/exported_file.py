"""Compare an exported model with the encoder that it was exported from, in the runtime of its format."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import CheckpointError
from mrlspk.inference.onnx_backend import open_session
from mrlspk.inference.parity import TOLERANCE, to_unit
from mrlspk.models.checkpoints import load_model
from mrlspk.models.encoder import Encoder
from mrlspk.models.export.torchscript import load_torchscript
from mrlspk.models.graph_metadata import GraphInput, check_signal

CHECKED_SECONDS = 0.3, 1.0, 3.0, 10.0
BATCHES = 1, 5
SHIFT = 37  # samples between the signals of a batch

type ExportFormat = Literal["onnx", "torchscript", "safetensors", "openvino"]
type Values = NDArray[np.float32]
type Runner = Callable[[Values], Values]


@dataclass(frozen=True)
class Difference:
    """How far an exported model is from PyTorch, at worst.

    Attributes:
        max_difference: Of a value of the unit vectors.
        cosine: Of the embeddings.
    """

    max_difference: float
    cosine: float


def compare_with_pytorch(path: Path, format: ExportFormat, encoder: Encoder, *, input: GraphInput) -> Difference:
    """Run an exported model at several lengths, in batches of one and five, and compare it with the encoder.

    Args:
        path: Of the exported file.
        format: Of the file.
        encoder: On the CPU.
        input: What the exported model reads.

    Raises:
        CheckpointError: If a value of a unit vector differs by more than 1e-4, or is no number.
        MissingDependencyError: If the runtime is not installed.
    """
    pairs = _embed_both(open_runner(path, format, input), encoder, input)
    worst = measure(pairs)
    if not (worst.max_difference <= TOLERANCE and worst.cosine <= 1 + TOLERANCE):  # NaN too
        raise CheckpointError(
            f"the exported model differs from PyTorch by {worst.max_difference:.1g}, more than {TOLERANCE:g}",
            path.name,
            "It was not kept. Export the model in another format.",
        )
    return worst


def measure(pairs: Iterable[tuple[Values, Values]]) -> Difference:
    """Return the worst difference over pairs of embeddings (batch, embed_dim); NaN if any is no number."""
    differences, cosines = list[float](), list[float]()
    for found, expected in pairs:
        first, second = to_unit(found), to_unit(expected)
        differences.append(float(np.abs(first - second).max()))
        cosines.append(float((first * second).sum(1).min()))
    return Difference(float(np.max(differences)), float(np.min(cosines)))


def open_runner(path: Path, format: ExportFormat, input: GraphInput) -> Runner:
    """Return the function that an exported file computes.

    Raises:
        CheckpointError: If its runtime cannot read it.
        MissingDependencyError: If the runtime is not installed.
    """
    if format == "onnx":
        session = open_session(path.read_bytes(), path)
        return lambda values: session.run(["embedding"], {input: values})[0]
    if format == "openvino":
        from mrlspk.inference.openvino_backend import shared_core  # installed: it has just written the file

        compiled = shared_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda values: compiled([values])[0].copy()
    module = load_model(path).encoder if format == "safetensors" else load_torchscript(path)
    return lambda values: _run_torch(module, values)


@torch.inference_mode()
def _run_torch(module: Callable[[torch.Tensor], torch.Tensor], values: Values) -> Values:
    vectors: Values = module(torch.from_numpy(values)).numpy()
    return vectors


def _embed_both(run: Runner, encoder: Encoder, input: GraphInput) -> Iterator[tuple[Values, Values]]:
    """Yield what the exported model and what the encoder computes of the same signals."""
    for seconds in CHECKED_SECONDS:
        n_samples = max(encoder.min_samples, round(seconds * SAMPLE_RATE))
        signal = check_signal(n_samples + SHIFT * max(BATCHES))
        for batch in BATCHES:
            waveforms = np.stack([signal[SHIFT * row : SHIFT * row + n_samples] for row in range(batch)])
            values = waveforms if input == "waveform" else _run_torch(encoder.features, waveforms)
            yield run(values), _run_torch(encoder, waveforms)
