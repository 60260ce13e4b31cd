#!/usr/bin/env python3
"""Time the backends on one model: one thread, one recording of a few seconds, medians of interleaved rounds.

    scripts/bench_embedding.py MODEL.pt [--seconds 3] [--rounds 25]

PyTorch runs the network as published, so the ratios are those to the eager network in float32.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mrlspk.errors import MrlspkError
from mrlspk.inference.backend import Backend, BackendName, Precision
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.graph_metadata import check_signal

RUNS: tuple[tuple[BackendName, Precision], ...] = (
    ("torch", "f32"),
    ("onnxruntime", "f32"),
    ("openvino", "f32"),
    ("openvino", "bf16"),
    ("onnxruntime", "int8"),
)


def main() -> None:
    """Print a row per backend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    waveform = check_signal(round(arguments.seconds * 16_000))[None]
    backends = load_all(ModelFile(arguments.model, str(arguments.model)), waveform)
    medians = {name: np.median(times) for name, times in measure(backends, waveform, arguments.rounds).items()}
    eager, exact = medians["torch f32"], unit(backends["torch f32"].embed(waveform))
    for name, median in medians.items():
        cosine = float((unit(backends[name].embed(waveform)) * exact).sum())
        print(f"{name:18s} {1000 * median:7.1f} ms  {eager / median:5.2f}x  cosine {cosine:.6f}")


def load_all(model: ModelFile, waveform: np.ndarray) -> dict[str, Backend]:
    """Return every backend that this machine can run, by name."""
    loaded: dict[str, Backend] = {}
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


def measure(backends: dict[str, Backend], waveform: np.ndarray, rounds: int) -> dict[str, list[float]]:
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
