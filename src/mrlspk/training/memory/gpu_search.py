"""Search for the batch that fits on a GPU: measure rising sizes until one does not, then halve the gap."""

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import attrgetter

import torch

from mrlspk.training.device_memory import MIB, ran_out_of_memory
from mrlspk.training.memory.peak_model import MAX_BATCH, MIN_BATCH, Line, MemoryPoint, round_down
from mrlspk.training.memory.probe import Probe

log = logging.getLogger("mrlspk.training")

# CUDA's context and its loaded kernels are in GPU memory but outside the allocator. On a GPU that is here they are
# measured. For one that is not here they are assumed to take this much: some hundred MiB on present GPUs.
CUDA_CONTEXT_MIB = 512.0
TIMED_PASSES = 3


@dataclass(frozen=True)
class GpuMemory:
    """The memory of a GPU that is here, or of one that is planned for.

    Attributes:
        total_mib: Of the GPU that is here; without one, of the planned GPU.
        limit_mib: Of the planned GPU: the smaller of the two.
        free_mib: What the allocator of one process can have: without CUDA's context and other programs.
        share: The share of it that a pass may take; the rest is for fragments and larger workspaces of kernels.
    """

    total_mib: float
    limit_mib: float
    free_mib: float
    share: float = 0.9

    @property
    def usable_mib(self) -> float:
        """The part of the free memory that a pass may take."""
        return self.share * self.free_mib


@dataclass(frozen=True)
class BatchSearch:
    """The result of a search.

    Attributes:
        gpu: The memory that was searched.
        points: The measured or predicted points, by rising batch.
        batch: The batch that fits; 0 if none does.
        line: Predicted memory by batch size; None on a GPU.
    """

    gpu: GpuMemory
    points: tuple[MemoryPoint, ...]
    batch: int
    line: Line | None = None

    def peak_mib(self, batch: int) -> float:
        """Return the peak of a batch up to the one that fits: predicted, or that of the next size measured."""
        if self.line is not None:
            return self.line.peak_mib(batch)
        return next(point.peak_mib for point in self.points if point.batch >= batch)


def planned_gpu(limit_mib: float) -> GpuMemory:
    """Return the memory of a GPU that is not here and that runs no other program."""
    return GpuMemory(limit_mib, limit_mib, max(0.0, limit_mib - CUDA_CONTEXT_MIB))


def read_gpu(device: torch.device, *, limit_mib: float | None = None) -> GpuMemory:
    """Return the memory of a GPU; what this process holds itself counts as free.

    Args:
        device: This process has run kernels on it already, so that CUDA's context is loaded.
        limit_mib: Plan for a GPU of this size, if it is smaller.
    """
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    total_mib, free_mib = total_bytes / MIB, (free_bytes + torch.cuda.memory_reserved(device)) / MIB
    if limit_mib is None or limit_mib >= total_mib:
        return GpuMemory(total_mib, total_mib, free_mib)
    return GpuMemory(total_mib, limit_mib, min(free_mib, planned_gpu(limit_mib).free_mib))


def search_gpu(probe: Probe, *, limit_mib: float | None = None, fastest: bool = False) -> BatchSearch:
    """Return the largest batch that fits on the GPU of a probe, or the fastest of those that fit.

    Args:
        probe: On a GPU.
        limit_mib: Plan for a GPU of this size: the allocator is limited to what would be free there.
        fastest: Choose by crops per second, and try sizes between the powers of two as well.
    """
    measure_on_gpu(probe, MIN_BATCH)  # loads kernels into CUDA's context, before the free memory is read
    gpu = read_gpu(probe.device, limit_mib=limit_mib)
    with limited_to(gpu, probe.device):
        points = measure_batches(partial(measure_on_gpu, probe), gpu.usable_mib, between=fastest)
    fitting = [point for point in points if point.peak_mib <= gpu.usable_mib]
    chosen = max(fitting, key=attrgetter("utterances_per_second" if fastest else "batch"), default=None)
    return BatchSearch(gpu, tuple(points), chosen.batch if chosen else 0)


@contextmanager
def limited_to(gpu: GpuMemory, device: torch.device) -> Iterator[None]:
    """Limit PyTorch's allocator to the free memory of ``gpu`` within the block."""
    before = torch.cuda.get_per_process_memory_fraction(device)
    torch.cuda.set_per_process_memory_fraction(min(1.0, gpu.free_mib / gpu.total_mib), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(before, device)


def measure_on_gpu(probe: Probe, batch_size: int) -> MemoryPoint | None:
    """Run passes at a batch size; return their peak and speed, or None if memory runs out.

    The memory is freed again, except what passes of any size keep, such as optimiser states.
    """
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(probe.device)
    seconds = _seconds_per_pass(probe, batch_size)
    peak_mib = torch.cuda.max_memory_reserved(probe.device) / MIB
    probe.forget()
    if probe.compiled:
        torch.compiler.reset()
    gc.collect()  # here, where no exception holds the frames of a failed pass
    torch.cuda.empty_cache()
    if seconds is None:
        log.info("a batch of %d does not fit", batch_size)
        return None
    return MemoryPoint(batch_size, peak_mib, utterances_per_second=batch_size / seconds)


def measure_batches(
    measure: Callable[[int], MemoryPoint | None], usable_mib: float, *, between: bool = False
) -> list[MemoryPoint]:
    """Measure passes of 2, 4, 8 … crops until one does not fit, then the round sizes that halve the gap.

    Args:
        measure: Returns the point of a batch size, or None if memory runs out.
        usable_mib: Peak up to which a batch fits.
        between: Measure the sizes half-way between those that fit, too.
    """
    points: dict[int, MemoryPoint] = {}

    def fits(batch: int) -> bool:
        point = measure(batch)
        if point is not None:
            points[batch] = point
        return point is not None and point.peak_mib <= usable_mib

    largest, batch = 0, MIN_BATCH
    while batch <= MAX_BATCH and fits(batch):
        largest, batch = batch, 2 * batch
    while batch <= MAX_BATCH and (middle := round_down((largest + batch) // 2)) > largest:
        largest, batch = (middle, batch) if fits(middle) else (largest, middle)
    if between:
        tried = sorted(each for each in points if each <= largest)
        for middle in {round_down((low + high) // 2) for low, high in pairwise(tried)} - points.keys():
            fits(middle)
    return [points[each] for each in sorted(points)]


def _seconds_per_pass(probe: Probe, batch_size: int) -> float | None:
    """Return the time of a pass after the first; None if memory runs out."""
    try:
        probe.take(batch_size)  # compiles and chooses kernels
        torch.cuda.synchronize(probe.device)
        started = time.perf_counter()
        for _ in range(TIMED_PASSES):
            probe.take(batch_size)
        torch.cuda.synchronize(probe.device)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        return None
    return (time.perf_counter() - started) / TIMED_PASSES
