"""Choose the fastest backend for a checkpoint: a runtime of graphs on a CPU, PyTorch on a GPU or without one."""

import importlib.util
import logging
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError, UsageError
from mrlspk.inference.backend import LoadedBackend, Precision
from mrlspk.inference.graph_cache import is_kept, load_cached_graph
from mrlspk.inference.graph_loading import RUNTIMES
from mrlspk.inference.model_file import ModelFile

# Devices of NVIDIA, AMD and of Linux within Windows.
GPU_FILES = tuple(map(Path, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")))

log = logging.getLogger("mrlspk.inference")


def load_fastest(
    model: ModelFile,
    *,
    device: str,
    precision: Precision,
    cache_dir: Path | None,
    sample: Sequence[NDArray[np.float32]],
    makes_graph: bool = True,
) -> LoadedBackend | None:
    """Return the graph of a checkpoint in the fastest runtime that is installed and passes; None for PyTorch.

    One line in the log says why it is PyTorch. Without ``makes_graph``, only a graph that is kept already is used.

    Raises:
        UsageError: If no device has that name, or int8 has no sample.
        MissingDependencyError: If this machine has no such device.
    """
    why = _why_not(device, precision, cache_dir)
    if why is None and cache_dir:
        try:
            if makes_graph or is_kept(model, cache_dir=cache_dir):
                return load_cached_graph(
                    model, cache_dir=cache_dir, device="cpu", backend="auto", precision=precision, sample=sample
                )
            why = "for so few recordings no graph is made"
        except UsageError:  # of the precision
            raise
        except MrlspkError as error:
            why = error.what
    log.info("embedding with PyTorch: %s", why)
    return None


def _why_not(device: str, precision: Precision, cache_dir: Path | None) -> str | None:
    """Return why no graph is used; None if there is no reason."""
    if _is_gpu(device):
        return "it runs on the GPU"
    if cache_dir is None:
        return "there is no cache for a graph"
    if not any(importlib.util.find_spec(name) for name in RUNTIMES[precision]):
        return f"{' and '.join(RUNTIMES[precision])} are not installed"
    return None


def _is_gpu(device: str) -> bool:
    """Return whether PyTorch would use a GPU; it is imported only if this machine may have one.

    Raises:
        UsageError: If no device has that name.
        MissingDependencyError: If this machine has no such device.
    """
    has_none = platform.system() == "Linux" and not any(path.exists() for path in GPU_FILES)
    if device == "cpu" or (device == "auto" and has_none):
        return False
    from mrlspk.inference.torch_device import find_device

    return find_device(device).type != "cpu"
