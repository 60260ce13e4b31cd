"""Fake a GPU: its memory, the functions of torch.cuda that read it, and passes that use some of it."""

from types import SimpleNamespace

import torch

from mrlspk.training.memory import gpu_search

MIB = 2**20


class FakeGpu:
    """Memory in MiB; the allocator keeps what it reserved until it is emptied.

    Its clock advances by ``tick`` seconds at each reading, and by the time of passes.
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
        """Replace the machine's GPU; without ``collects`` the garbage collector is not run."""
        if not collects:
            monkeypatch.setattr(gpu_search, "gc", SimpleNamespace(collect=lambda: None))
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
            "get_device_name": lambda _device=None: "fake GPU",
            "get_rng_state": lambda _device: torch.zeros(1),
            "set_rng_state": lambda _state, _device: None,
        }
        for name, function in functions.items():
            monkeypatch.setattr(torch.cuda, name, function)
        monkeypatch.setattr(gpu_search, "time", SimpleNamespace(perf_counter=self.look_at_clock))
        return self


class FakeProbe:
    """Passes that use ``fixed`` MiB and ``per_crop`` for each crop."""

    device = torch.device("cuda", 0)
    compiled = False

    def __init__(self, gpu, *, fixed=0.0, per_crop=10.0, seconds=lambda batch: 0.01 * batch):
        self.gpu, self.fixed, self.per_crop, self.seconds = gpu, fixed, per_crop, seconds

    def take(self, batch_size):
        self.gpu.reserve(self.fixed + self.per_crop * batch_size)
        self.gpu.seconds += self.seconds(batch_size)

    def forget(self):
        pass

    def resident(self):
        return iter(())
