"""Memory as a function of the batch, and round batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIB = 2**20
MIN_BATCH = 2  # the head's BatchNorm needs two crops to train on
MAX_BATCH = 1024


@dataclass(frozen=True)
class MemoryPoint:
    """What passes at one batch size took.

    Attributes:
        batch: Crops.
        peak_mib: Most memory: reserved by the allocator of a GPU, or predicted.
        saved_mib: Part of it that autograd saves; known on the CPU only.
        utterances_per_second: Crops, data there already; known on a GPU only.
    """

    batch: int
    peak_mib: float
    saved_mib: float | None = None
    utterances_per_second: float | None = None


@dataclass(frozen=True)
class Line:
    """Memory that every step takes, and that each crop adds."""

    fixed_mib: float
    mib_per_crop: float


@dataclass(frozen=True)
class MemoryModel:
    """Peak memory by batch size: the highest of the lines, each of which is one part of a step."""

    lines: tuple[Line, ...]

    def peak_mib(self, batch_size: int) -> float:
        """Return the peak at ``batch_size``."""
        return max(line.fixed_mib + line.mib_per_crop * batch_size for line in self.lines)

    def largest_batch(self, usable_mib: float) -> int:
        """Return the largest round batch whose peak is within ``usable_mib``; 0 where none is."""
        fitting = (batch for batch in range(MAX_BATCH, 0, -1) if self.peak_mib(batch) <= usable_mib)
        return round_down(next(fitting, 0))


def fit_line(points: Sequence[tuple[int, float]]) -> Line:
    """Return the line of least squares through (batch, MiB) points of two or more batch sizes."""
    batches, memory = zip(*points, strict=True)
    slope, intercept = np.polyfit(batches, memory, 1)
    return Line(float(intercept), float(slope))


def round_down(batch_size: int) -> int:
    """Return the next multiple of 8, or below 8 the next power of two, that is not above; 0 below `MIN_BATCH`."""
    if batch_size < MIN_BATCH:
        return 0
    return batch_size // 8 * 8 if batch_size >= 8 else 2 ** int(math.log2(batch_size))


def split_target(
    largest: int, target_batch: int | None, *, n_processes: int = 1, multiple_of: int = 1
) -> tuple[int, int]:
    """Return batch of each process and accumulation steps: the fewest that reach ``target_batch``, evenly filled.

    Args:
        largest: No batch is above it, but where it is below ``multiple_of``.
        target_batch: Crops of an optimiser step of all processes; None for one batch of each.
        n_processes: That share the work.
        multiple_of: Crops that stand side by side and are not parted.
    """
    largest = max(largest // multiple_of, 1) * multiple_of
    if target_batch is None:
        return largest, 1
    steps = math.ceil(target_batch / (largest * n_processes))
    least = max(MIN_BATCH, math.ceil(target_batch / (steps * n_processes)))
    return math.ceil(least / multiple_of) * multiple_of, steps
