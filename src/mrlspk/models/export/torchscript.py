"""Write an encoder as TorchScript, which PyTorch runs without this package, in Python and C++."""

import io
import warnings
from pathlib import Path

import torch

from mrlspk.models.encoder import Encoder
from mrlspk.models.export.graph import ExportedEncoder
from mrlspk.models.export.onnx_file import trace_example
from mrlspk.models.graph_metadata import PROPERTY, GraphMetadata


def write_torchscript(encoder: Encoder, path: Path, metadata: GraphMetadata) -> None:
    """Write an encoder as TorchScript; batch and length are free.

    Input and output are those of `write_onnx`. The metadata are the extra file ``mrlspk``, as JSON.

    Raises:
        OSError: If the file cannot be written.
    """
    written = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls TorchScript deprecated, and tracing warns of shapes that it keeps
        exported = ExportedEncoder(encoder, input=metadata.input, for_pytorch=True)
        traced = torch.jit.trace(exported, trace_example(encoder, metadata.input))  # type: ignore[no-untyped-call]
        torch.jit.save(torch.jit.freeze(traced), written, {PROPERTY: metadata.model_dump_json()})
    path.write_bytes(written.getvalue())


def load_torchscript(path: Path) -> torch.jit.ScriptModule:
    """Return the module in a TorchScript file, on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: torch.jit.ScriptModule = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
    return module
