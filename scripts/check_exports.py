#!/usr/bin/env python3
"""Compare exported graphs of every published layout with PyTorch, and print the differences as a Markdown table.

    scripts/check_exports.py [NAME …] [--seconds 0.3 1 3 10 61]

Each model is filled by the rule of tests/conformance/reference.py and exported. Its graph embeds known signals in ONNX
Runtime and in OpenVINO, alone and in batches of five. A difference is that of a value of unit vectors, at worst over
the lengths and batches. Exits 1 if one is above 1e-4, or if a backend takes a recording of one sample too few.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mrlspk.errors import UsageError
from mrlspk.inference.backend import Backend
from mrlspk.inference.exported_file import measure
from mrlspk.inference.onnx_backend import read_onnx_backend
from mrlspk.inference.openvino_backend import read_openvino_backend
from mrlspk.inference.parity import TOLERANCE
from mrlspk.models.checkpoints import load_model
from mrlspk.models.encoder import Encoder
from mrlspk.models.export.onnx_file import write_onnx
from mrlspk.models.graph_metadata import GraphMetadata, check_signal
from mrlspk.models.head import MatryoshkaHead

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conformance.reference import NAMES, read_reference, write_predecessor, write_published  # noqa: E402

SECONDS = 0.3, 1.0, 3.0, 10.0, 61.0
BATCHES = 1, 5
SHIFT = 37  # samples between the signals of a batch
PREDECESSOR, HEAD = "redimnet-mrl 1.0.1", "redimnet-b0, another head"
DIMS = 16, 32, 64  # of the other head


def main() -> int:
    """Print a row per model; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*NAMES, PREDECESSOR, HEAD], metavar="NAME")
    parser.add_argument("--seconds", nargs="+", type=float, default=SECONDS)
    arguments = parser.parse_args()
    print("| model | fewest samples | ONNX Runtime | OpenVINO | one sample too few |\n|---|---|---|---|---|")
    failed = False
    for name in arguments.names:
        with tempfile.TemporaryDirectory() as folder:
            encoder = build(name, Path(folder) / "model.pt")
            backends = export(encoder, Path(folder) / "model.onnx")
            worst = compare(backends, encoder, arguments.seconds)
            refused = all(refuses(backend) for backend in backends)
        failed |= not refused or not max(worst) <= TOLERANCE
        shown = " | ".join(f"{each:.1e}" for each in worst)
        print(f"| {name} | {encoder.min_samples} | {shown} | {'refused' if refused else 'TAKEN'} |", flush=True)
    return int(failed)


def build(name: str, path: Path) -> Encoder:
    """Return the encoder of this name; its checkpoint is written to ``path``."""
    if name == PREDECESSOR:
        return load_model(write_predecessor(path)).encoder
    published = load_model(write_published(read_reference(name.split(",")[0]), path)).encoder
    if name != HEAD:
        return published
    torch.manual_seed(7)
    return published.with_head(MatryoshkaHead(published.pooled_dim, DIMS[-1]), DIMS).eval()


def export(encoder: Encoder, path: Path) -> tuple[Backend, Backend]:
    """Write the graph of an encoder; return it in ONNX Runtime and in OpenVINO."""
    metadata = GraphMetadata(
        dims=encoder.dims,
        sample_rate=16_000,
        min_samples=encoder.min_samples,
        fingerprint="",
        family="",
        licence="",
    )
    write_onnx(encoder, path, metadata)
    return read_onnx_backend(path), read_openvino_backend(path)


def compare(backends: tuple[Backend, ...], encoder: Encoder, seconds: list[float]) -> list[float]:
    """Return the largest difference of each backend from PyTorch; NaN if a value is no number."""
    pairs = list[list[tuple[np.ndarray, np.ndarray]]]([] for _ in backends)
    for waveforms in signals(encoder.min_samples, seconds):
        with torch.inference_mode():
            expected = encoder(torch.from_numpy(waveforms)).numpy()
        for backend, found in zip(backends, pairs, strict=True):
            found.append((backend.embed(waveforms), expected))
    return [measure(each).max_difference for each in pairs]


def signals(min_samples: int, seconds: list[float]) -> Iterator[np.ndarray]:
    """Yield waveforms (batch, samples) of every length, alone and in batches."""
    for length in seconds:
        n_samples = max(min_samples, round(16_000 * length))
        signal = check_signal(n_samples + SHIFT * max(BATCHES))
        for batch in BATCHES:
            yield np.stack([signal[SHIFT * row : SHIFT * row + n_samples] for row in range(batch)])


def refuses(backend: Backend) -> bool:
    """Return whether a backend refuses a recording of one sample too few."""
    try:
        backend.embed(check_signal(backend.min_samples - 1)[None])
    except UsageError:
        return True
    return False


if __name__ == "__main__":
    raise SystemExit(main())
