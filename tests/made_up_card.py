"""A GPU that is not there: its memory, the functions of torch.cuda that ask for it, and passes that take some of it."""

from contextlib import nullcontext
from types import SimpleNamespace

import torch

from mrlspk.training.memory import card as card_module

MIB = 2**20


class MadeUpCard:
    """Memory in MiB; what the allocator has reserved stays until it is emptied.

    Its clock goes on by ``tick`` seconds with each look at it, and by what passes take.
    """

    def __init__(self, total, *, others=0.0, context=0.0, tick=0.0):
        self.tick = tick
        self.total, self.others, self.context = total, others, context
        self.fraction, self.reserved, self.peak, self.seconds = 1.0, 0.0, 0.0, 0.0
        self.fractions = []

    @property
    def room(self):
        return min(self.fraction * self.total, self.total - self.others - self.context)

    def reserve(self, mib):
        if mib > self.room:
            raise torch.OutOfMemoryError(f"no room for {mib}")
        self.reserved = max(self.reserved, mib)
        self.peak = max(self.peak, self.reserved)

    def hold(self, fraction, _device):
        self.fraction = fraction
        self.fractions.append(fraction)

    def empty(self):
        self.reserved = 0.0

    def look_at_clock(self):
        self.seconds += self.tick
        return self.seconds

    def reset_peak(self, _device):
        self.peak = self.reserved

    def install(self, monkeypatch, *, collects=False):
        """Put this card in the place of the machine's; without ``collects`` no time goes into freeing cycles."""
        if not collects:
            monkeypatch.setattr(card_module, "gc", SimpleNamespace(collect=lambda: None))
        free_mib = lambda: self.total - self.others - self.context - self.reserved  # noqa: E731
        functions = {
            "mem_get_info": lambda _device: (int(free_mib() * MIB), int(self.total * MIB)),
            "memory_reserved": lambda _device: int(self.reserved * MIB),
            "max_memory_reserved": lambda _device: int(self.peak * MIB),
            "reset_peak_memory_stats": self.reset_peak,
            "empty_cache": self.empty,
            "synchronize": lambda _device: None,
            "get_per_process_memory_fraction": lambda _device: self.fraction,
            "set_per_process_memory_fraction": self.hold,
            "get_device_name": lambda _device=None: "made-up card",
            "get_rng_state": lambda _device: torch.zeros(1),
            "set_rng_state": lambda _state, _device: None,
        }
        for name, function in functions.items():
            monkeypatch.setattr(torch.cuda, name, function)
        monkeypatch.setattr(card_module, "time", SimpleNamespace(perf_counter=self.look_at_clock))
        return self


class MadeUpProbe:
    """Passes that take ``fixed`` MiB and so much a crop, and a time for each batch; it notes what it was asked for."""

    device = torch.device("cuda", 0)

    def __init__(self, card, *, fixed=0.0, per_crop=10.0, seconds=lambda batch: 0.01 * batch):
        self.card, self.fixed, self.per_crop, self.seconds = card, fixed, per_crop, seconds
        self.begun = []

    def take(self, batch_size):
        self.card.reserve(self.fixed + self.per_crop * batch_size)
        self.card.seconds += self.seconds(batch_size)

    def begin(self, batch_size):
        self.begun.append(batch_size)
        self.take(batch_size)

    def forget(self):
        pass

    def resident(self):
        return iter(())

    def between_phases(self, _note):
        return nullcontext()
