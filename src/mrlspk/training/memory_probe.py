"""How much memory a step takes on a GPU, and the largest batch that fits."""

import gc
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mrlspk.training.probe_step import ProbeStep

log = logging.getLogger("mrlspk.training")

MIB = 2**20
USED_SHARE = 0.9  # of the memory; the rest is for fragments and for kernels that choose larger workspaces
# CUDA's context and its loaded kernels lie on the card but outside the allocator that is measured. An allowance, not a
# measurement: it is some hundred MiB on present cards.
CUDA_CONTEXT_MIB = 512.0
MIN_BATCH = 2  # the head's BatchNorm needs two crops to train on
MAX_BATCH = 1024
FITTED_POINTS = 3  # the largest batches; small ones show fixed costs rather than those of a crop

type Measure = Callable[[int], float | None]


@dataclass(frozen=True)
class MemoryPoint:
    """Peak memory of a step at one batch size; ``saved_mib``, known on the CPU, is what autograd saves of it."""

    batch: int
    peak_mib: float
    saved_mib: float | None = None


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


def split_target(largest: int, target_batch: int | None) -> tuple[int, int]:
    """Return batch size and accumulation steps: the fewest steps that reach ``target_batch``, evenly filled."""
    if target_batch is None:
        return largest, 1
    steps = math.ceil(target_batch / largest)
    return math.ceil(target_batch / steps), steps


def usable_memory(limit_mib: float) -> float:
    """Return the MiB of a card of ``limit_mib`` that a step may take."""
    return USED_SHARE * limit_mib - CUDA_CONTEXT_MIB


def probe_card(measure: Measure, usable_mib: float) -> tuple[MemoryModel, list[MemoryPoint]]:
    """Measure steps of 2, 4, 8 … crops until memory is full; return the line of their peaks, and the peaks.

    Args:
        measure: Returns the peak of a step in MiB, or None where the card has no room for it.
        usable_mib: Larger batches than the first beyond it are not tried.
    """
    points: list[MemoryPoint] = []
    batch = MIN_BATCH
    while batch <= MAX_BATCH and (peak := measure(batch)) is not None:
        points.append(MemoryPoint(batch, peak))
        if peak > usable_mib:
            break
        batch *= 2
    last = [(point.batch, point.peak_mib) for point in points[-FITTED_POINTS:]]
    if len(last) > 1:
        return MemoryModel((fit_line(last),)), points
    # One point alone says nothing of what a crop adds: no batch above it is taken to fit, nor any where none was.
    return MemoryModel((Line(0.0, last[0][1] / last[0][0] if last else math.inf),)), points


def confirm_batch(measure: Measure, batch_size: int, usable_mib: float) -> tuple[int, MemoryPoint | None]:
    """Return the largest round batch that is seen to fit, from ``batch_size`` down, and its point; 0 if none is."""
    while batch_size:
        peak = measure(batch_size)
        if peak is not None and peak <= usable_mib:
            return batch_size, MemoryPoint(batch_size, peak)
        batch_size = round_down(int(0.95 * batch_size))
    return 0, None


def measure_on_card(step: ProbeStep) -> Measure:
    """Return a function that takes steps on the GPU of ``step`` and returns their peak of reserved memory in MiB."""

    def measure(batch_size: int) -> float | None:
        device = step.fabric.device
        _empty(step)
        torch.cuda.reset_peak_memory_stats(device)
        try:
            for _ in range(2):  # the optimiser makes its states at the first
                step.take(batch_size)
            torch.cuda.synchronize(device)
        except torch.OutOfMemoryError:
            log.info("a batch of %d does not fit", batch_size)
            return None
        else:
            return torch.cuda.max_memory_reserved(device) / MIB
        finally:
            _empty(step)

    return measure


def _empty(step: ProbeStep) -> None:
    """Free all that a step left behind, whole or failed."""
    step.forget()
    gc.collect()  # an exception's traceback holds frames, and those hold activations
    torch.cuda.empty_cache()
