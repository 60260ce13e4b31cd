"""Compare speaker models that are exported as one graph with the models themselves on speech, and time both.

    python scripts/check_one_graph.py MODEL.onnx|HEAD.npz... --speech FOLDER [--seconds 0.3 1 3 10 61] [--front-ends]

A graph embeds recordings of each length, alone and five at once, in ONNX Runtime and in OpenVINO. A difference is that
of a value of unit vectors, at worst. Times are of four seconds on one thread, in turns. With --front-ends the models
are run behind other filter banks, and not timed. Prints Markdown; exits 1 if a difference is above 1e-4.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from mrlspk.inference.backend import Backend
from mrlspk.inference.export_parity import measure
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.onnx_backend import read_onnx_backend
from mrlspk.inference.openvino_backend import read_openvino_backend
from mrlspk.inference.parity import TOLERANCE
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.front_ends import KaldiFbank
from mrlspk.workflows.export_one_graph import OneGraphSource, open_one_graph

BATCH, APART = 5, 16_000  # recordings of a batch, and samples between their beginnings
ROUNDS, TIMED = 15, 64_000
RUNTIMES: dict[str, Callable[[Path], Backend]] = {
    "ONNX Runtime": read_onnx_backend,
    "OpenVINO": read_openvino_backend,
}
WINDOWS = "povey", "hamming", "hanning", "rectangular"
OTHERS = {"snip_edges": False}, {"low_hz": 100, "high_hz": 7600}
FRONT_ENDS = [
    *({"window": w, "sample_scale": s, "mean": m} for w, s, m in product(WINDOWS, (1, 32768), ("utterance", "none"))),
    *OTHERS,
]


def main() -> int:
    """Print a row per model; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--seconds", nargs="+", type=float, default=(0.3, 1.0, 3.0, 10.0, 61.0))
    parser.add_argument("--front-ends", action="store_true")
    given = parser.parse_args()
    speech = read_speech(given.speech, round(16_000 * max(given.seconds)) + BATCH * APART)
    lengths = [round(16_000 * seconds) for seconds in given.seconds]
    times = [] if given.front_ends else ["the model itself", *RUNTIMES]
    columns = ["model", *RUNTIMES, *times]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    worst = 0.0
    for path in given.models:
        source = open_one_graph(ModelFile(path, path.name), cache_dir=Path(), input="waveform", format="onnx")
        for name, each in variants(source) if given.front_ends else [(path.name, source)]:
            differences, seconds = check(each, speech, lengths, timed=bool(times))
            worst = max(worst, *differences)
            cells = *(f"{value:.1e}" for value in differences), *(f"{1000 * value:.0f} ms" for value in seconds)
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return int(not worst <= TOLERANCE)


def read_speech(folder: Path, n_samples: int) -> np.ndarray:
    """Return the first recordings of a folder, one after another."""
    parts, total = [], 0
    for path in sorted(each for each in folder.rglob("*") if each.suffix in {".wav", ".flac"}):
        samples, rate = soundfile.read(path, dtype="float32")
        if rate == 16_000 and samples.ndim == 1:
            parts.append(samples)
            total += len(samples)
        if total >= n_samples:
            return np.concatenate(parts)
    raise SystemExit(f"{folder} has less than {n_samples / 16_000:g} s of speech at 16 kHz")


def variants(source: OneGraphSource) -> Iterator[tuple[str, OneGraphSource]]:
    """Yield the model behind each of the filter banks, without what follows it."""
    base = getattr(source.backend, "base", source.backend)
    assert isinstance(base, SpeakerModelBackend)
    for values in FRONT_ENDS:
        backend = base.with_front_end(KaldiFbank.model_validate(values))
        graph = replace(source.base, description=backend.description)
        metadata = source.metadata.model_copy(update={"dims": backend.dims})
        name = ", ".join(f"{key} {value}" for key, value in values.items())
        yield f"{source.path.name}: {name}", replace(source, base=graph, backend=backend, metadata=metadata)


def check(
    source: OneGraphSource, speech: np.ndarray, lengths: list[int], *, timed: bool
) -> tuple[list[float], list[float]]:
    """Return the difference in each runtime, and if ``timed`` the seconds of the model and of each runtime."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "one.onnx"
        source.write(path, "onnx")
        graphs = [read(path) for read in RUNTIMES.values()]
    pairs: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in graphs]
    for length in lengths:
        several = np.stack([speech[APART * row :][:length] for row in range(BATCH)])
        for waveforms in (several[:1], several):
            expected = source.backend.embed(waveforms)
            for graph, found in zip(graphs, pairs, strict=True):
                found.append((graph.embed(waveforms), expected))
    seconds = time_in_turns([source.backend, *graphs], speech[:TIMED]) if timed else []
    return [measure(each).max_difference for each in pairs], seconds


def time_in_turns(backends: list[Backend], waveform: np.ndarray) -> list[float]:
    """Return the median seconds of each backend."""
    taken = [[_seconds(backend, waveform[None]) for backend in backends] for _ in range(ROUNDS + 1)][1:]
    return [median(column) for column in np.transpose(taken)]


def _seconds(backend: Backend, waveforms: np.ndarray) -> float:
    start = time.perf_counter()
    backend.embed(waveforms)
    return time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
