"""Compare an exported model with the encoder that it was exported from, in the runtime of its format."""

from collections.abc import Callable
from pathlib import Path

import torch

from mrlspk.inference.export_parity import (
    Difference,
    ExportFormat,
    Runner,
    Values,
    checked_waveforms,
    measure_small,
    open_graph,
)
from mrlspk.models.checkpoints import load_model
from mrlspk.models.encoder import Encoder
from mrlspk.models.export.torchscript import load_torchscript
from mrlspk.models.graph_metadata import GraphInput


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
    run = _open_runner(path, format, input)
    pairs = (
        (run(waveforms if input == "waveform" else _run(encoder.features, waveforms)), _run(encoder, waveforms))
        for waveforms in checked_waveforms(encoder.min_samples)
    )
    return measure_small(pairs, path, "PyTorch")


def _open_runner(path: Path, format: ExportFormat, input: GraphInput) -> Runner:
    if format in {"onnx", "openvino"}:
        return open_graph(path, format, input)
    module = load_model(path).encoder if format == "safetensors" else load_torchscript(path)
    return lambda values: _run(module, values)


@torch.inference_mode()
def _run(module: Callable[[torch.Tensor], torch.Tensor], values: Values) -> Values:
    vectors: Values = module(torch.from_numpy(values)).numpy()
    return vectors
