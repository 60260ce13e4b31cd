"""Compare the predictions of gpu-profile with measurements, as a Markdown table.

The cases are models, trained whole or head only, in fp32 and bf16. On a GPU the allocator is limited to what would be
free on GPUs of several sizes; a row shows the batch that the prediction on the CPU chooses with its predicted and its
measured peak, then the batch that the command chooses by measuring. On the CPU a row compares the prediction for one
batch with the memory of a new process. Exits 1 if a peak is above its prediction or more than a quarter below it, a
chosen batch runs out of memory, or time runs out.

    python scripts/check_gpu_profile.py --minutes 8      # everything, on a GPU
    python scripts/check_gpu_profile.py --on-cpu 16      # memory of processes on the CPU, on Linux
    python scripts/check_gpu_profile.py --predict-only   # the table of docs/gpu.md that needs neither

It reads no audio, so it needs no decoder.
"""

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch

from mrlspk.config import Config, load_config
from mrlspk.config.architecture import PublishedReDimNetConfig, ReDimNetConfig
from mrlspk.training.device_memory import MIB
from mrlspk.training.memory.gpu_search import limited_to, measure_on_gpu, planned_gpu, read_gpu, search_gpu
from mrlspk.training.memory.peak_model import Line
from mrlspk.training.memory.prediction import predict_memory
from mrlspk.training.memory.probe import Probe, build_probe
from mrlspk.workflows.profile_gpu import VOXCELEB2_SPEAKERS

ARCHITECTURES = Path(__file__).resolve().parent.parent / "tests" / "conformance" / "data" / "redimnet"
TRAINED = {"head only": "null", "everything": "0"}
PRECISIONS = "fp32", "bf16"
M_MMAP_THRESHOLD = -3  # of mallopt(3)
MOST_ABOVE = 0.25  # of a prediction over its measurement
MEASURED_COLUMNS = (
    "model", "trained", "precision", "GPU",
    "predicted batch", "predicted MiB", "measured MiB", "off by",
    "measured batch", "measured MiB", "utterances/s",
)  # fmt: skip


@dataclass(frozen=True)
class Peak:
    """A batch, its expected and its measured peak; None if memory ran out or no batch fits."""

    batch: int
    expected_mib: float
    measured_mib: float | None

    @property
    def error(self) -> float | None:
        """Relative error of the expectation; None without a measurement."""
        return None if self.measured_mib is None else self.expected_mib / self.measured_mib - 1

    @property
    def is_good(self) -> bool:
        """True if it fitted, and the expectation was no lower and not much higher."""
        return self.error is not None and 0 <= self.error <= MOST_ABOVE

    @property
    def cells(self) -> list[str]:
        """Batch, expected and measured MiB, and relative error, as text."""
        measured = "out of memory" if self.measured_mib is None else f"{self.measured_mib:,.0f}"
        apart = "" if self.error is None else f"{self.error:+z.1%}"
        return [f"{self.batch:,}", f"{self.expected_mib:,.0f}", measured, apart]


def read_backbone(model: str) -> ReDimNetConfig:
    """Return the architecture that the reference vectors of ``model`` were made with."""
    reference = json.loads((ARCHITECTURES / f"redimnet-{model}.json").read_text(encoding="utf-8"))
    return PublishedReDimNetConfig.model_validate(reference["config"]).backbone()


def configure(model: str, trained: str, precision: str) -> Config:
    """Return the configuration of a case, with random weights."""
    return load_config(
        None,
        [
            "model.pretrained.use_pretrained=false",
            f"model.backbone={read_backbone(model).model_dump_json()}",
            f"training.freeze_backbone_epochs={TRAINED[trained]}",
            f"hardware.precision={precision}",
        ],
    )


def build(config: Config, device: str) -> Probe:
    """Return the pass of a case on a device."""
    options = {"n_speakers": VOXCELEB2_SPEAKERS, "n_processes": 1, "cache_dir": Path(), "mirror": None}
    return build_probe(config, torch.device(device), **options)


def check_gpu(probe: Probe, prediction: Line, gib: int) -> tuple[Peak, list[str]]:
    """Run passes with the allocator limited to a GPU of ``gib`` GiB; return (predicted, cells of the measured)."""
    limit_mib = 1024.0 * gib
    found = search_gpu(probe, limit_mib=limit_mib)
    batch = prediction.largest_batch(planned_gpu(limit_mib).usable_mib)
    with limited_to(read_gpu(probe.device, limit_mib=limit_mib), probe.device):
        point = measure_on_gpu(probe, batch) if batch else None
    chosen = next(point for point in found.points if point.batch == found.batch)
    cells = [f"{found.batch:,}", f"{chosen.peak_mib:,.0f}", f"{chosen.utterances_per_second:,.0f}"]
    return Peak(batch, prediction.peak_mib(batch), point and point.peak_mib), cells


def check_cpu(cases: list[tuple[str, str, str]], batch: int) -> bool:
    """Print a row for each case: the predicted peak and the memory of a process; return whether all are good."""
    _print_row(("model", "trained", "precision", "batch", "predicted MiB", "measured MiB", "off by"))
    _print_row(["---"] * 7)
    is_good = True
    for case in cases:
        line, _ = predict_memory(build(configure(*case), "cpu"))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            peak = Peak(batch, line.peak_mib(batch), processes.submit(process_peak_mib, case, batch).result())
        is_good &= peak.is_good
        _print_row([*case, *peak.cells])
    return is_good


def process_peak_mib(case: tuple[str, str, str], batch: int) -> float:
    """Return what stays in memory between passes, and what a pass adds to the memory of this process."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 2**16)  # larger blocks are returned when they are freed: no fragments are measured
    probe = build(configure(*case), "cpu")
    probe.take(batch)
    probe.forget()
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again from here
    before = _status_mib("VmRSS")
    probe.take(batch)
    return sum(tensor.nbytes for tensor in probe.resident()) / MIB + _status_mib("VmHWM") - before


def _status_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def measure(cases: list[tuple[str, str, str]], sizes: list[int], *, minutes: float) -> bool:
    """Print a row for each case and GPU size; return whether all are good and none is left."""
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    _print_row(MEASURED_COLUMNS)
    _print_row(["---"] * len(MEASURED_COLUMNS))
    ends, is_good = time.monotonic() + 60 * minutes, True
    for case in cases:
        config = configure(*case)
        if time.monotonic() > ends:
            print(f"time is up before {', '.join(case)}")
            return False
        prediction, _ = predict_memory(build(config, "cpu"))
        probe = build(config, "cuda")
        for gib in sizes:
            predicted, measured = check_gpu(probe, prediction, gib)
            is_good &= predicted.is_good
            _print_row([*case, f"{gib} GiB", *predicted.cells, *measured])
    return is_good


def predict_only(cases: list[tuple[str, str, str]], sizes: list[int]) -> None:
    """Print a row for each case: batch and peak for each GPU size."""
    _print_row(["model", "trained", "precision", *(f"{gib} GiB" for gib in sizes)])
    _print_row(["---"] * (3 + len(sizes)))
    for case in cases:
        prediction, _ = predict_memory(build(configure(*case), "cpu"))
        _print_row([*case, *_predicted_cells(prediction, sizes)])


def _predicted_cells(prediction: Line, sizes: list[int]) -> Iterator[str]:
    for gib in sizes:
        batch = prediction.largest_batch(planned_gpu(1024 * gib).usable_mib)
        yield f"{batch:,} ({prediction.peak_mib(batch):,.0f})" if batch else "none"


def _print_row(cells: list[str] | tuple[str, ...]) -> None:
    print("|" + "|".join(f" {cell} " if cell != "---" else cell for cell in cells) + "|", flush=True)


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["b0", "b2", "b6"], help="names of reference vectors")
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 12, 16, 24], help="GPU sizes in GiB")
    parser.add_argument("--minutes", type=float, default=8.0, help="start no case after this time")
    parser.add_argument("--on-cpu", type=int, metavar="BATCH", help="compare with processes on the CPU")
    parser.add_argument("--predict-only", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    cases = list(product(arguments.models, TRAINED, PRECISIONS))
    if arguments.predict_only:
        predict_only(cases, arguments.sizes)
        return 0
    if arguments.on_cpu:
        return 0 if check_cpu(cases, arguments.on_cpu) else 1
    if not torch.cuda.is_available():
        parser.error("there is no GPU here; give --on-cpu or --predict-only")
    return 0 if measure(cases, arguments.sizes, minutes=arguments.minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
