"""Predict the GPU memory of a pass from what two passes allocate on the CPU."""

from dataclasses import replace
from itertools import accumulate
from typing import Any

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.autograd.profiler import profile

from mrlspk.training.device_memory import MIB
from mrlspk.training.memory.gpu_search import BatchSearch, planned_gpu
from mrlspk.training.memory.peak_model import Line, MemoryPoint, line_through
from mrlspk.training.memory.probe import Probe

PROBED_BATCHES = 2, 4
# For the workspaces of a GPU's kernels, and because the phase of a step with the highest peak may be another one in a
# large batch than in a small one: docs/gpu.md has the figures.
MARGIN = 1.2


def predict(probe: Probe, *, limit_mib: float) -> BatchSearch:
    """Predict the largest batch that fits on a GPU of ``limit_mib``, by a probe on the CPU."""
    gpu, (line, points) = planned_gpu(limit_mib), predict_memory(probe)
    return BatchSearch(gpu, points, line.largest_batch(gpu.usable_mib), line)


def predict_memory(probe: Probe) -> tuple[Line, tuple[MemoryPoint, ...]]:
    """Return memory by batch size, with the margin, and the two points that it goes through."""
    probe.take(min(PROBED_BATCHES))  # the optimiser allocates its states at its first step
    counted = [count_pass(probe, batch) for batch in PROBED_BATCHES]
    points = tuple(replace(point, peak_mib=MARGIN * point.peak_mib) for point in counted)
    return line_through(*points), points


def count_pass(probe: Probe, batch_size: int) -> MemoryPoint:
    """Run a pass on the CPU and return its peak: resident tensors, and what PyTorch's allocator hands out beside them.

    Args:
        probe: It has run before, so that optimiser states exist.
        batch_size: Crops.
    """
    probe.forget()
    resident = {tensor.untyped_storage().data_ptr(): tensor.nbytes for tensor in probe.resident()}
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with profile(profile_memory=True) as record, saved_tensors_hooks(note, lambda tensor: tensor):
        probe.take(batch_size)
    saved_bytes = sum(n_bytes for pointer, n_bytes in saved.items() if pointer not in resident)
    return MemoryPoint(batch_size, (sum(resident.values()) + peak_bytes(record)) / MIB, saved_mib=saved_bytes / MIB)


def peak_bytes(record: profile) -> int:
    """Return the largest sum of bytes that were allocated and not yet freed."""
    results: Any = record.kineto_results  # its stub lacks `nbytes`
    changes = sorted(
        (event for event in results.events() if event.name() == "[memory]"), key=lambda event: event.start_ns()
    )
    return max(accumulate(event.nbytes() for event in changes), default=0)
