"""What a pass will take on a GPU, counted on the CPU: what autograd saves, and all that lives beside it."""

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mrlspk.training.memory.card import imagined_card
from mrlspk.training.memory.model import MIB, MemoryModel, MemoryPoint, fit_line
from mrlspk.training.memory.probe import Probe
from mrlspk.training.memory.search import Found

PROBED_BATCHES = (2, 4)


@dataclass(frozen=True)
class CountedPass:
    """The bytes of one pass.

    Attributes:
        batch: Crops.
        saved: What autograd keeps from the forward for the backward pass, parameters and buffers not among it.
        peaks: The most that was alive, beside what is resident, in each phase: of a training step in the encoder's
            forward pass, in the loss and its gradient, and from there on. Each is a straight line over batch sizes; the
            highest of them is not.
    """

    batch: int
    saved: int
    peaks: tuple[int, ...]


class SavedBytes(saved_tensors_hooks):
    """Counts each storage that autograd saves once, within a ``with`` block; those of ``known`` are left out."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._bytes: dict[int, int] = {}
        super().__init__(self._pack, lambda tensor: tensor)

    @property
    def total(self) -> int:
        """The bytes counted so far."""
        return sum(self._bytes.values())

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._bytes[storage.data_ptr()] = storage.nbytes()
        return tensor


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that operators make within a ``with`` block until they are freed.

    Parts that are frozen save nothing, and still fill memory while they run: only what is alive shows it. What a kernel
    takes and frees within itself is not seen.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self._sizes: dict[int, int] = {}
        self._now = self._peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, then count what it made."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return result

    def take_peak(self) -> int:
        """Return the most bytes alive since the last call, and begin anew from what is alive now."""
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
    """Take a pass, whose optimiser, if it has one, has its states already, and return its bytes."""
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


def predict(probe: Probe, *, limit_mib: float) -> Found:
    """Return the largest batch that a GPU of ``limit_mib`` is predicted to have room for, by a probe on the CPU."""
    card, (model, points) = imagined_card(limit_mib), predict_memory(probe)
    return Found(card, model, tuple(points), model.largest_batch(card.usable_mib))


def predict_memory(probe: Probe, batches: Sequence[int] = PROBED_BATCHES) -> tuple[MemoryModel, list[MemoryPoint]]:
    """Return memory as a function of the batch, and the points that it was fitted to, from passes on the CPU."""
    probe.take(min(batches))  # the optimiser makes its states at its first step
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
