"""Write an encoder as one ONNX file, with a description of itself and embeddings to check a runtime by."""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.errors import MissingDependencyError
from mrlspk.models.encoder import Encoder
from mrlspk.models.export.graph import ExportedEncoder
from mrlspk.models.export.part_names import name_frames, name_parts
from mrlspk.models.graph_metadata import GraphInput, GraphMetadata, check_signal

OPSET = 18
CHECKED_SECONDS = 0.3, 1.0
EXAMPLE_SECONDS = 1.5
LENGTH_AXIS: dict[GraphInput, tuple[str, int]] = {"waveform": ("samples", 1), "features": ("frames", 2)}


def write_onnx(encoder: Encoder, path: Path, metadata: GraphMetadata) -> None:
    """Write an encoder as one ONNX file without side files; batch and length are free.

    The graph reads ``waveform`` (batch, samples) at 16 kHz, or log-mel ``features`` (batch, mels, frames), as the
    metadata say, and gives ``embedding`` (batch, embed_dim), not of unit length. PyTorch's embeddings of two check
    signals are added to the metadata.

    Torch's exporter by tracing is used: that by torch.export takes far longer, and its graphs are larger and slower in
    ONNX Runtime.

    Raises:
        MissingDependencyError: If the package onnx is not installed.
        OSError: If the file cannot be written.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingDependencyError("an ONNX file needs onnx", path, "Type: pip install 'mrlspk[onnx]'") from error
    model = onnx.load_from_string(_traced(encoder, metadata.input))
    name_parts(model)
    name_frames(model, time_stride=encoder.backbone.time_stride)
    onnx.helper.set_model_props(model, metadata.with_checks(_check_embeddings(encoder)).properties())
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _traced(encoder: Encoder, input: GraphInput) -> bytes:
    """Return the ONNX graph of an encoder."""
    name, axis = LENGTH_AXIS[input]
    written = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns of shapes that it keeps; lengths are checked afterwards
        torch.onnx.export(
            ExportedEncoder(encoder, input=input),
            (trace_example(encoder, input),),
            written,  # type: ignore[arg-type]  # its annotation leaves buffers out
            dynamo=False,
            opset_version=OPSET,
            input_names=[input],
            output_names=["embedding"],
            dynamic_axes={input: {0: "batch", axis: name}, "embedding": {0: "batch"}},
        )
    return written.getvalue()


def trace_example(encoder: Encoder, input: GraphInput) -> Tensor:
    """Return a batch of two to trace with."""
    samples = max(encoder.min_samples, round(EXAMPLE_SECONDS * 16_000))
    waveforms = torch.from_numpy(check_signal(samples)).repeat(2, 1).to(encoder.device)
    return waveforms if input == "waveform" else encoder.features(waveforms)


@torch.inference_mode()
def _check_embeddings(encoder: Encoder) -> dict[int, NDArray[np.float32]]:
    """Return the embeddings of the check signals, by their number of samples."""
    lengths = (max(encoder.min_samples, round(seconds * 16_000)) for seconds in CHECKED_SECONDS)
    return {n: encoder(torch.from_numpy(check_signal(n))[None].to(encoder.device))[0].cpu().numpy() for n in lengths}
