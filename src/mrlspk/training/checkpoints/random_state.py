"""Save, restore and seed the random generators of a process."""

import random
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy, torch and, if it has one, the device, as plain values.

    Decoding processes have no state: their random numbers are a function of the crop (`CropDataset`).
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
    """Restore every generator from a `random_state`; that of the device stays as it is if the state has none.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: If ``state`` is damaged.
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
    """Seed the generators of each process differently.

    The first process keeps its torch generator, which the run has seeded and drawn the weights from.
    """
    random.seed(seed + rank)
    np.random.seed((seed + rank) % 2**32)
    if rank:
        torch.manual_seed(seed + rank)
