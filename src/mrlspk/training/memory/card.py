"""The memory of a GPU, and what passes on it take."""

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mrlspk.training.device_errors import ran_out_of_memory
from mrlspk.training.memory.model import MIB, MemoryPoint
from mrlspk.training.memory.probe import Probe

log = logging.getLogger("mrlspk.training")

USED_SHARE = 0.9  # of the free memory; the rest is for fragments and for kernels that choose larger workspaces
# CUDA's context and its loaded kernels lie on the card but outside the allocator. On a card that is here they count as
# they are. Of one that is not here this is taken to be theirs: some hundred MiB on present cards.
CUDA_CONTEXT_MIB = 512.0
TIMED_PASSES = 3

type Measure = Callable[[int], MemoryPoint | None]


@dataclass(frozen=True)
class CardMemory:
    """The memory of a GPU, or of one that is planned for.

    Attributes:
        total_mib: Of the GPU that is here; without one, of that which is planned for.
        limit_mib: Of the GPU that is planned for: the lesser of the two.
        free_mib: What of that the allocator of one process can have: neither CUDA's context nor other programs have it.
    """

    total_mib: float
    limit_mib: float
    free_mib: float

    @property
    def usable_mib(self) -> float:
        """What of the free memory a pass may take."""
        return USED_SHARE * self.free_mib


def imagined_card(limit_mib: float) -> CardMemory:
    """Return the memory of a GPU that is not here, with no other program on it."""
    return CardMemory(limit_mib, limit_mib, max(0.0, limit_mib - CUDA_CONTEXT_MIB))


def read_card(device: torch.device, *, limit_mib: float | None = None) -> CardMemory:
    """Return the memory of a GPU; what this process holds itself counts as free.

    Args:
        device: On which this process has run kernels already, so that CUDA's context is there and has loaded them.
        limit_mib: Plan for a card of this size, if it is less.
    """
    torch.cuda.empty_cache()
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    total_mib, free_mib = total_bytes / MIB, (free_bytes + torch.cuda.memory_reserved(device)) / MIB
    if limit_mib is None or limit_mib >= total_mib:
        return CardMemory(total_mib, total_mib, free_mib)
    return CardMemory(total_mib, limit_mib, min(free_mib, imagined_card(limit_mib).free_mib))


@contextmanager
def held_to(card: CardMemory, device: torch.device) -> Iterator[None]:
    """Let PyTorch's allocator have the free memory of a card and no more, within the block."""
    before = torch.cuda.get_per_process_memory_fraction(device)
    torch.cuda.set_per_process_memory_fraction(min(1.0, card.free_mib / card.total_mib), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(before, device)


def measure_on_card(probe: Probe) -> Measure:
    """Return a function that takes passes at a batch size and returns what they took, or None where there is no room.

    Neither leaves anything in memory but what passes of any size keep, such as states of an optimiser.
    """

    def measure(batch_size: int) -> MemoryPoint | None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(probe.device)
        seconds = _seconds_of_pass(probe, batch_size)
        peak_mib = torch.cuda.max_memory_reserved(probe.device) / MIB
        probe.forget()
        gc.collect()  # here, where no exception holds the frames of a pass that failed
        torch.cuda.empty_cache()
        if seconds is None:
            log.info("a batch of %d does not fit", batch_size)
            return None
        return MemoryPoint(batch_size, peak_mib, utterances_per_second=batch_size / seconds)

    return measure


def _seconds_of_pass(probe: Probe, batch_size: int) -> float | None:
    """Return how long a pass takes once the first ones are done; None where memory ran out."""
    try:
        probe.begin(batch_size)
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
