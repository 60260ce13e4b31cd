"""The device that a name means on this machine."""

import torch

from mrlspk.errors import MissingDependencyError


def find_device(name: str) -> torch.device:
    """Return the device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; auto prefers a GPU.

    Raises:
        MissingDependencyError: If this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= count:
        raise MissingDependencyError(f"this machine has no device {name}", "--device", "Take auto or cpu.")
    return device
