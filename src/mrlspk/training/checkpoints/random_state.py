"""Every generator of random numbers of a process: as plain values, and back."""

import random
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the states of Python's, NumPy's and torch's generators, and that of the device where it has its own.

    Processes that decode have none to keep: what they draw is a function of the crop (`CropDataset`).
    """
    version, words, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)
    assert isinstance(numpy, dict)
    return {
        "python": [version, list(words), gauss],
        "numpy": {
            **numpy,
            "state": {**numpy["state"], "key": torch.from_numpy(numpy["state"]["key"].astype(np.int64))},
        },
        "torch": torch.get_rng_state(),
        "device": _device_state(device),
    }


def _device_state(device: torch.device) -> torch.Tensor | None:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Bring every generator back to a `random_state`; without one of the device, the device's stays as it is.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: If it is none.
    """
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    numpy = state["numpy"]
    key = numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": key}})
    torch.set_rng_state(state["torch"])
    if state["device"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["device"], device)
    elif state["device"] is not None and device.type == "mps":
        torch.mps.set_rng_state(state["device"])


def seed_apart(seed: int, rank: int) -> None:
    """Let each process draw by the seed, and other numbers than the others do.

    torch goes on in the first process with what the seed of the run has given it: the weights have been drawn there.
    """
    random.seed(seed + rank)
    np.random.seed((seed + rank) % 2**32)
    if rank:
        torch.manual_seed(seed + rank)
