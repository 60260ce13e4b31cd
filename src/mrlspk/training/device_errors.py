"""How a GPU says that it has no memory left."""

import torch

# How libraries that ask for memory by themselves say that there is none.
NO_ROOM = "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory"


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Return whether it says that a GPU has no memory left: PyTorch's allocator, or a library beneath it."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_ROOM)
