"""The most memory that this process has held."""

import resource
import sys

import torch

MIB = 2**20


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak in MiB so far: of what CUDA's allocator reserved on a GPU, of the whole process on a CPU.

    Metal keeps no peak: on mps it is what the driver holds at the moment.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / MIB
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / MIB
    return _resident_bytes() / MIB


def _resident_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
