"""Time every backend and precision on one model: one thread, one recording, medians of interleaved rounds.

    .venv/bin/python scripts/bench_embedding.py MODEL.pt [--seconds 3] [--rounds 25] [--build SRC]

Ratios and cosines are to the network as published, run eagerly by PyTorch in float32. ``--build`` adds that network in
another build, whose source folder is SRC, in a process of its own.
"""

import argparse
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from mrlspk.errors import MrlspkError
from mrlspk.inference.backend import BackendName, Precision
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.torch_backend import TorchBackend, load_checkpoint
from mrlspk.models.graph_metadata import check_signal

PUBLISHED, BUILD = "as published", "other build"
RUNS: tuple[tuple[BackendName, Precision], ...] = (
    ("torch", "f32"),
    ("torch", "bf16"),
    ("onnxruntime", "f32"),
    ("openvino", "f32"),
    ("openvino", "bf16"),
    ("onnxruntime", "int8"),
)
WORKER = """
import pickle, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from mrlspk.models.checkpoints import load_model
torch.set_num_threads(1)
encoder = load_model(Path(sys.argv[2])).encoder.eval()
with torch.inference_mode():
    while sys.stdin.buffer.peek(1):
        pickle.dump(encoder(torch.from_numpy(pickle.load(sys.stdin.buffer))).numpy(), sys.stdout.buffer)
        sys.stdout.buffer.flush()
"""


class Embeds(Protocol):
    """What is timed."""

    def embed(self, waveforms: np.ndarray) -> np.ndarray:
        """Map (batch, samples) to (batch, values)."""


class OtherBuild:
    """The published network in another build, in a process that waits between its turns.

    Args:
        source: Folder with the package.
        model: Checkpoint.
    """

    def __init__(self, source: Path, model: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(source), str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def embed(self, waveforms: np.ndarray) -> np.ndarray:
        """Map (batch, samples) to (batch, values)."""
        pickle.dump(waveforms, self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)  # of our own process

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def main() -> None:
    """Print a row per backend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--build", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    waveform = check_signal(round(arguments.seconds * 16_000))[None]
    backends = load_all(ModelFile(arguments.model, str(arguments.model)), waveform)
    build = OtherBuild(arguments.build, arguments.model) if arguments.build else None
    try:
        print(table(backends | ({BUILD: build} if build else {}), waveform, arguments.rounds))
    finally:
        if build:
            build.close()


def load_all(model: ModelFile, waveform: np.ndarray) -> dict[str, Embeds]:
    """Return every backend that this machine can run, by name."""
    loaded: dict[str, Embeds] = {PUBLISHED: TorchBackend(load_checkpoint(model).encoder, as_published=True)}
    with tempfile.TemporaryDirectory() as folder:
        for backend, precision in RUNS:
            try:
                found = load_backend(
                    model,
                    device="cpu",
                    backend=backend,
                    precision=precision,
                    cache_dir=Path(folder),
                    sample=[waveform[0]],
                )
            except MrlspkError as error:
                print(f"{backend} {precision}: {error}")
                continue
            loaded[f"{backend} {precision}"] = found.backend
    return loaded


def table(backends: dict[str, Embeds], waveform: np.ndarray, rounds: int) -> str:
    """Return a line for each backend."""
    medians = {name: float(np.median(times)) for name, times in measure(backends, waveform, rounds).items()}
    published = unit(backends[PUBLISHED].embed(waveform))
    lines = []
    for name, median in medians.items():
        cosine = float((unit(backends[name].embed(waveform)) * published).sum())
        ratio = medians[PUBLISHED] / median
        lines.append(f"{name:18s} {1000 * median:7.1f} ms  {ratio:5.2f}x  cosine {cosine:.6f}")
    return "\n".join(lines)


def measure(backends: dict[str, Embeds], waveform: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round by backend; the first two rounds are left out."""
    times: dict[str, list[float]] = {name: [] for name in backends}
    for number in range(rounds + 2):
        for name, backend in backends.items():
            seconds = timed(lambda backend=backend: backend.embed(waveform))
            if number >= 2:
                times[name].append(seconds)
    return times


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return (batch, values) at unit length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
