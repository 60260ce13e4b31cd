"""Compare `mrlspk`'s backend of an ONNX speaker model with plain ONNX Runtime on features that are ready.

    python scripts/bench_speaker_models.py MODEL.onnx... [--seconds 4] [--rounds 9]

Each runs on one thread, in turns, on the same signal. The share of the front end is what is left.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.front_ends import build_front_end
from mrlspk.models.graph_metadata import check_signal


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    for path in given.models:
        ours, plain, front_end = time_in_turns(path, given.seconds, given.rounds)
        print(
            f"{path.name}: {given.seconds:g} s of audio on one thread, median of {given.rounds}: "
            f"mrlspk {1000 * ours:.1f} ms, plain ONNX Runtime on ready features {1000 * plain:.1f} ms "
            f"({ours / plain:.2f}×), front end alone {1000 * front_end:.1f} ms"
        )


def time_in_turns(path: Path, seconds: float, rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of the backend, of plain ONNX Runtime, and of the front end."""
    backend = load_backend(ModelFile(path, path.name)).backend
    assert isinstance(backend, SpeakerModelBackend), f"{path} is no speaker model of another toolkit"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    waveform = check_signal(round(seconds * backend.sample_rate))
    compute = build_front_end(backend.description.front_end, backend.sample_rate)
    features = compute(waveform)[None]
    names = [backend.description.output.name], backend.description.input.name
    jobs = (
        lambda: backend.embed(waveform[None]),
        lambda: session.run(names[0], {names[1]: features}),
        lambda: compute(waveform),
    )
    taken = [[_seconds(job) for job in jobs] for _ in range(rounds + 1)][1:]
    ours, plain, front_end = (median(column) for column in np.transpose(taken))
    return ours, plain, front_end


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
