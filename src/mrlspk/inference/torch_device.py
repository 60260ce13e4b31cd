"""Find the device that PyTorch runs on."""

import torch

from mrlspk.errors import MissingDependencyError, UsageError


def find_device(name: str) -> torch.device:
    """Return the device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; auto prefers a GPU.

    Raises:
        UsageError: If no device has that name.
        MissingDependencyError: If this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    kind, _, number = name.partition(":")
    if kind not in counts or (":" in name and not number.isdecimal()):
        raise UsageError(f"expected auto, cpu, cuda, cuda:N or mps, got {name!r}", parameter="device")
    if int(number or 0) >= counts[kind]:
        raise MissingDependencyError(f"this machine has no device {name}", fix="Use auto or cpu.", parameter="device")
    return torch.device(name)
