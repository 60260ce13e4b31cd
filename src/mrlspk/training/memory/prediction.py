"""Predict the GPU memory of a pass by counting bytes on the CPU: live storages, and what autograd saves."""

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mrlspk.training.device_memory import MIB
from mrlspk.training.memory.gpu_search import BatchSearch, planned_gpu
from mrlspk.training.memory.peak_model import MemoryModel, MemoryPoint, fit_line
from mrlspk.training.memory.probe import Probe

PROBED_BATCHES = (2, 4)


@dataclass(frozen=True)
class CountedPass:
    """The bytes of one pass.

    Attributes:
        batch: Crops.
        saved: What autograd saves in the forward pass for the backward pass, without parameters and buffers.
        peaks: Peak of the live bytes in each phase, without resident tensors. The phases of a training step are the
            encoder's forward pass, the loss and its gradient, and the rest. Each is linear in the batch size; their
            maximum is not.
    """

    batch: int
    saved: int
    peaks: tuple[int, ...]


class SavedBytes(saved_tensors_hooks):
    """Count each storage that autograd saves within a ``with`` block once; storages of ``known`` are left out."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._bytes: dict[int, int] = {}
        super().__init__(self._pack, lambda tensor: tensor)

    @property
    def total(self) -> int:
        """Bytes counted so far."""
        return sum(self._bytes.values())

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._bytes[storage.data_ptr()] = storage.nbytes()
        return tensor


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Track the storages that operators allocate within a ``with`` block until they are freed.

    Frozen parts save nothing for autograd and still use memory while they run; live storages show it. Workspace inside
    a kernel is not seen.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._sizes: dict[int, int] = {}
        self._now = self._peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, then count its outputs."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return result

    def take_peak(self) -> int:
        """Return the peak of live bytes since the last call, and start again from the bytes that are live now."""
        peak, self._peak = self._peak, self._now
        return peak

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage.data_ptr()
        if key in self._known or key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        weakref.finalize(storage, self._freed, key)
        self._now += storage.nbytes()
        self._peak = max(self._peak, self._now)

    def _freed(self, key: int) -> None:
        self._now -= self._sizes.pop(key)


def count_pass(probe: Probe, batch_size: int) -> CountedPass:
    """Run a pass and return its bytes; optimiser states, if any, must exist already."""
    probe.forget()
    resident = list(probe.resident())
    peaks: list[int] = []
    saved, live = SavedBytes(resident), LiveBytes(resident)
    with saved, live:
        with probe.between_phases(lambda: peaks.append(live.take_peak())):
            probe.take(batch_size)
        peaks.append(live.take_peak())
    probe.forget()
    return CountedPass(batch_size, saved.total, tuple(peaks))


def predict(probe: Probe, *, limit_mib: float) -> BatchSearch:
    """Predict the largest batch that fits on a GPU of ``limit_mib``, by a probe on the CPU."""
    gpu, (model, points) = planned_gpu(limit_mib), predict_memory(probe)
    return BatchSearch(gpu, model, tuple(points), model.largest_batch(gpu.usable_mib))


def predict_memory(probe: Probe, batches: Sequence[int] = PROBED_BATCHES) -> tuple[MemoryModel, list[MemoryPoint]]:
    """Return memory by batch size, and the points that it was fitted to, from passes on the CPU."""
    probe.take(min(batches))  # the optimiser allocates its states at its first step
    resident_mib = sum(tensor.nbytes for tensor in probe.resident()) / MIB
    counts = [count_pass(probe, batch) for batch in batches]
    phases = zip(*(count.peaks for count in counts), strict=True)
    lines = [
        fit_line([(batch, resident_mib + peak / MIB) for batch, peak in zip(batches, peaks, strict=True)])
        for peaks in phases
    ]
    points = [
        MemoryPoint(count.batch, resident_mib + max(count.peaks) / MIB, saved_mib=count.saved / MIB) for count in counts
    ]
    return MemoryModel(tuple(lines)), points
