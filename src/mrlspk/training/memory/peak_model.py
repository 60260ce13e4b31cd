"""Describe peak memory as a line over the batch size, and round batch sizes."""

import math
from dataclasses import dataclass

MIN_BATCH = 2  # the head's BatchNorm needs two crops to train on
MAX_BATCH = 1024


@dataclass(frozen=True)
class MemoryPoint:
    """The memory and speed of passes at one batch size.

    Attributes:
        batch: Crops.
        peak_mib: Peak memory, reserved by a GPU's allocator or predicted.
        saved_mib: The part that autograd saves; known on the CPU only.
        utterances_per_second: Speed without data loading; known on a GPU only.
    """

    batch: int
    peak_mib: float
    saved_mib: float | None = None
    utterances_per_second: float | None = None


@dataclass(frozen=True)
class Line:
    """Peak memory by batch size: what a pass takes at any size, and what each crop adds."""

    fixed_mib: float
    mib_per_crop: float

    def peak_mib(self, batch_size: int) -> float:
        """Return the peak at ``batch_size``."""
        return self.fixed_mib + self.mib_per_crop * batch_size

    def largest_batch(self, usable_mib: float) -> int:
        """Return the largest round batch whose peak is within ``usable_mib``; 0 if there is none."""
        fitting = (batch for batch in range(MAX_BATCH, 0, -1) if self.peak_mib(batch) <= usable_mib)
        return round_down(next(fitting, 0))


def line_through(first: MemoryPoint, second: MemoryPoint) -> Line:
    """Return the line through two points."""
    slope = (second.peak_mib - first.peak_mib) / (second.batch - first.batch)
    return Line(first.peak_mib - slope * first.batch, slope)


def round_down(batch_size: int) -> int:
    """Round down to a multiple of 8, or below 8 to a power of two; 0 below `MIN_BATCH`."""
    if batch_size < MIN_BATCH:
        return 0
    return batch_size // 8 * 8 if batch_size >= 8 else 2 ** int(math.log2(batch_size))


def split_target(
    largest: int, target_batch: int | None, *, n_processes: int = 1, multiple_of: int = 1
) -> tuple[int, int]:
    """Return (batch per process, accumulation steps): the fewest even steps that reach ``target_batch``.

    Args:
        largest: Upper limit of the batch, unless ``multiple_of`` is larger.
        target_batch: Crops of an optimiser step over all processes; None: one batch per process.
        n_processes: Processes that share the step.
        multiple_of: Crops of one speaker that stay together in a batch.
    """
    largest = max(largest // multiple_of, 1) * multiple_of
    if target_batch is None:
        return largest, 1
    steps = math.ceil(target_batch / (largest * n_processes))
    least = max(MIN_BATCH, math.ceil(target_batch / (steps * n_processes)))
    return math.ceil(least / multiple_of) * multiple_of, steps
