"""The peak of memory, in MiB whatever the system counts in."""

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mrlspk.training import device_memory
from mrlspk.training.device_memory import peak_memory_mib


@pytest.mark.parametrize(("platform", "peak"), [("linux", 3 * 1024), ("darwin", 3 * 1024**2)])
def test_process_peak_uses_the_units_of_the_system(monkeypatch, platform, peak):
    monkeypatch.setattr(device_memory, "sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(resource, "getrusage", lambda _who: SimpleNamespace(ru_maxrss=peak))
    assert peak_memory_mib(torch.device("cpu")) == 3.0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_process_peak_matches_the_kernel():
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    assert peak_memory_mib(torch.device("cpu")) == pytest.approx(kibibytes / 1024, rel=0.05)


def test_gpu_peak_is_what_the_allocator_reserved(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: {1: 5 * 2**20}[device.index])
    assert peak_memory_mib(torch.device("cuda", 1)) == 5.0


def test_metal_peak_is_what_the_driver_holds(monkeypatch):
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 7 * 2**20)
    assert peak_memory_mib(torch.device("mps")) == 7.0
