#!/usr/bin/env python3
"""Compare exported graphs of every published layout with PyTorch, and print the differences as a Markdown table.

    scripts/check_exports.py [NAME|CHECKPOINT …] [--seconds 0.3 1 3 10 61]

A model is one of the golden layouts, filled by the rule of tests/conformance/reference.py, or a checkpoint. Its graph
embeds known signals in ONNX Runtime and in OpenVINO, alone and in batches of five. PyTorch embeds each signal alone. A
difference is that of a value of unit vectors, at worst over the lengths and batches. Each runtime has a process of its
own, one after another, whose peak memory is shown. A batch that would take more than half of the machine's memory is
made smaller, and the table says so. Exits 1 if a difference is above 1e-4, or if a runtime takes a recording of one
sample too few.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mrlspk.errors import UsageError
from mrlspk.inference.backend import Backend
from mrlspk.inference.export_parity import measure
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
BATCH = 5
SHIFT = 37  # samples between the signals of a batch
PREDECESSOR, HEAD = "redimnet-mrl 1.0.1", "redimnet-b0, another head"
DIMS = 16, 32, 64  # of the other head
MOST_MIB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**21
RUNTIMES: dict[str, Callable[[Path], Backend]] = {
    "ONNX Runtime": read_onnx_backend,
    "OpenVINO": read_openvino_backend,
}


@dataclass(frozen=True)
class Found:
    """What a runtime made of a graph.

    Attributes:
        difference: From PyTorch, at worst.
        refused: Whether it took no recording of one sample too few.
        smaller: Batches that memory limited, by seconds.
        mib: Peak memory.
    """

    difference: float
    refused: bool
    smaller: dict[float, int]
    mib: float

    @property
    def passed(self) -> bool:
        """Whether it equals PyTorch; NaN does not."""
        return self.refused and self.difference <= TOLERANCE

    def __str__(self) -> str:
        batches = f"1, {BATCH}" + "".join(f" ({length:g} s: 1, {batch})" for length, batch in self.smaller.items())
        refused = "refused" if self.refused else "TAKEN"
        return f"{batches} | {self.difference:.1e} | {refused} | {self.mib:,.0f} MiB"


def main() -> int:
    """Print a row per model and runtime; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*NAMES, PREDECESSOR, HEAD], metavar="NAME")
    parser.add_argument("--seconds", nargs="+", type=float, default=SECONDS)
    given = parser.parse_args()
    print("| model | runtime | batches | difference | one sample too few | peak memory |\n|---|---|---|---|---|---|")
    passed = True
    for name in given.names:
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "model.onnx"
            expected = alone(export, name, graph, given.seconds)
            for runtime in RUNTIMES:
                found = alone(compare, runtime, graph, expected, given.seconds)
                passed &= found.passed
                print(f"| {Path(name).name} | {runtime} | {found} |", flush=True)
    return int(not passed)


def alone[T](call: Callable[..., T], *arguments: object) -> T:
    """Return what a function computes in a process of its own, whose memory ends with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(call, *arguments).result()


def export(name: str, graph: Path, seconds: list[float]) -> list[np.ndarray]:
    """Write the graph of a model; return PyTorch's embeddings (signals, values) of every length."""
    encoder = build(name, graph.with_name("model.pt"))
    metadata = GraphMetadata(
        dims=encoder.dims,
        sample_rate=16_000,
        min_samples=encoder.min_samples,
        fingerprint="",
        family="",
        licence="",
    )
    write_onnx(encoder, graph, metadata)
    with torch.inference_mode():
        return [
            np.concatenate([encoder(torch.from_numpy(signal[None])).numpy() for signal in batch])
            for batch in signals(encoder.min_samples, seconds)
        ]


def build(name: str, path: Path) -> Encoder:
    """Return the encoder of a name or a checkpoint; that of a name is written to ``path`` first."""
    if Path(name).is_file():
        return load_model(Path(name)).encoder
    if name == PREDECESSOR:
        return load_model(write_predecessor(path)).encoder
    published = load_model(write_published(read_reference(name.split(",")[0]), path)).encoder
    if name != HEAD:
        return published
    torch.manual_seed(7)
    return published.with_head(MatryoshkaHead(published.pooled_dim, DIMS[-1]), DIMS).eval()


def compare(runtime: str, graph: Path, expected: list[np.ndarray], seconds: list[float]) -> Found:
    """Return how a graph in a runtime differs from PyTorch's embeddings of every length."""
    backend = RUNTIMES[runtime](graph)
    loaded = peak_mib()
    pairs, smaller = list[tuple[np.ndarray, np.ndarray]](), dict[float, int]()
    for length, waveforms, vectors in zip(seconds, signals(backend.min_samples, seconds), expected, strict=True):
        pairs.append((backend.embed(waveforms[:1]), vectors[:1]))
        batch = max(1, min(BATCH, int((MOST_MIB - loaded) / max(peak_mib() - loaded, 1))))
        if batch < BATCH:
            smaller[length] = batch
        pairs.append((backend.embed(waveforms[:batch]), vectors[:batch]))
    return Found(measure(pairs).max_difference, refuses(backend), smaller, peak_mib())


def peak_mib() -> float:
    """Return the peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def signals(min_samples: int, seconds: list[float]) -> Iterator[np.ndarray]:
    """Yield the largest batch of waveforms (batch, samples) of every length."""
    for length in seconds:
        n_samples = max(min_samples, round(16_000 * length))
        signal = check_signal(n_samples + SHIFT * BATCH)
        yield np.stack([signal[SHIFT * row : SHIFT * row + n_samples] for row in range(BATCH)])


def refuses(backend: Backend) -> bool:
    """Return whether a backend refuses a recording of one sample too few."""
    try:
        backend.embed(check_signal(backend.min_samples - 1)[None])
    except UsageError:
        return True
    return False


if __name__ == "__main__":
    raise SystemExit(main())
