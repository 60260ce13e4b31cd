"""Compare the predictions of gpu-profile with measurements on a GPU, as a Markdown table.

The cases are models, trained whole or head only, in fp32 and bf16, on GPUs of several sizes; the allocator is limited
to what would be free on a GPU of that size. A row shows the batch that the prediction on the CPU chooses and its
measured peak, then the batch that the command chooses by measuring and the peak that its line predicts. Exits 1 if a
prediction is off by more than a tenth, a chosen batch runs out of memory, or time runs out.

    python scripts/check_gpu_profile.py --minutes 8      # everything, on a GPU
    python scripts/check_gpu_profile.py --predict-only   # the table of docs/gpu.md that needs none

It reads no audio, so it needs neither FFmpeg nor torchcodec.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from mrlspk.config import Config, load_config
from mrlspk.config.architecture import PublishedReDimNetConfig, ReDimNetConfig
from mrlspk.training.memory.gpu_search import limited_to, measure_on_gpu, planned_gpu, read_gpu, search_gpu
from mrlspk.training.memory.peak_model import MemoryModel
from mrlspk.training.memory.prediction import predict_memory
from mrlspk.training.memory.probe import Probe, build_probe
from mrlspk.workflows.profile_gpu import VOXCELEB2_SPEAKERS

ARCHITECTURES = Path(__file__).resolve().parent.parent / "tests" / "conformance" / "data" / "redimnet"
TRAINED = {"head only": "null", "everything": "0"}
PRECISIONS = "fp32", "bf16"
TOLERANCE = 0.1
MEASURED_COLUMNS = (
    "model", "trained", "precision", "GPU",
    "predicted batch", "predicted MiB", "measured MiB", "off by",
    "measured batch", "by its line MiB", "measured MiB", "off by", "utterances/s",
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
        """True if it fitted and its peak was as expected."""
        return self.error is not None and abs(self.error) <= TOLERANCE

    @property
    def cells(self) -> list[str]:
        """Batch, expected and measured MiB, and relative error, as text."""
        measured = "out of memory" if self.measured_mib is None else f"{self.measured_mib:,.0f}"
        apart = "" if self.error is None else f"{self.error:+z.1%}"
        return [f"{self.batch:,}", f"{self.expected_mib:,.0f}", measured, apart]


@dataclass(frozen=True)
class Row:
    """The result of a case on a GPU: by prediction, and by measurement."""

    predicted: Peak
    measured: Peak
    utterances_per_second: float

    @property
    def is_good(self) -> bool:
        """True if both are good."""
        return self.predicted.is_good and self.measured.is_good


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


def check_gpu(probe: Probe, prediction: MemoryModel, gib: int) -> Row:
    """Run passes with the allocator limited to a GPU of ``gib`` GiB."""
    limit_mib = 1024.0 * gib
    found = search_gpu(probe, limit_mib=limit_mib)
    point = next((point for point in found.points if point.batch == found.batch), None)
    predicted_batch = prediction.largest_batch(planned_gpu(limit_mib).usable_mib)
    with limited_to(read_gpu(probe.device, limit_mib=limit_mib), probe.device):
        predicted_point = measure_on_gpu(probe)(predicted_batch) if predicted_batch else None
    return Row(
        Peak(predicted_batch, prediction.peak_mib(predicted_batch), predicted_point and predicted_point.peak_mib),
        Peak(found.batch, found.model.peak_mib(found.batch), point and point.peak_mib),
        (point and point.utterances_per_second) or 0.0,
    )


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
            row = check_gpu(probe, prediction, gib)
            is_good &= row.is_good
            cells = [*case, f"{gib} GiB", *row.predicted.cells, *row.measured.cells]
            _print_row([*cells, f"{row.utterances_per_second:,.0f}"])
    return is_good


def predict_only(cases: list[tuple[str, str, str]], sizes: list[int]) -> None:
    """Print a row for each case: batch and peak for each GPU size."""
    _print_row(["model", "trained", "precision", *(f"{gib} GiB" for gib in sizes)])
    _print_row(["---"] * (3 + len(sizes)))
    for case in cases:
        prediction, _ = predict_memory(build(configure(*case), "cpu"))
        _print_row([*case, *_predicted_cells(prediction, sizes)])


def _predicted_cells(prediction: MemoryModel, sizes: list[int]) -> Iterator[str]:
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
    parser.add_argument("--predict-only", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    cases = list(product(arguments.models, TRAINED, PRECISIONS))
    if arguments.predict_only:
        predict_only(cases, arguments.sizes)
        return 0
    if not torch.cuda.is_available():
        parser.error("there is no GPU here; --predict-only shows the predictions alone")
    return 0 if measure(cases, arguments.sizes, minutes=arguments.minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
