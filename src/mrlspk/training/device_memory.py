"""Read the peak memory of a device and recognise out-of-memory errors."""

import resource
import sys

import torch

MIB = 2**20
# Messages of libraries that allocate memory themselves.
OUT_OF_MEMORY = "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory"


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak so far in MiB: reserved by CUDA's allocator on a GPU, of the whole process on a CPU.

    Metal keeps no peak: on mps it is what the driver holds at the moment.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / MIB
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / MIB
    return _resident_bytes() / MIB


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Return whether PyTorch's allocator, or a library beneath it, reports that a GPU has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or any(message in str(error) for message in OUT_OF_MEMORY)


def _resident_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
