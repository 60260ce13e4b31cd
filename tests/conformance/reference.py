"""Reference vectors and the rule that fills published state dicts without their weights (see the vectors' README)."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrlspk.models.checkpoints.layouts import Layout, read_predecessor, read_published
from mrlspk.models.encoder import build_encoder

FOLDER = Path(__file__).parent / "data" / "redimnet"
PREDECESSOR = "redimnet-mrl-1.0.1"
NAMES = sorted({path.stem for path in FOLDER.glob("*.json")} - {PREDECESSOR})
AUDIO = "speech/test/ls02033/164914/00001.wav"


def read_reference(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def splitmix64(x):
    with np.errstate(over="ignore"):
        z = x + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(key: str, n: int):
    """Return n values in [0, 1) that depend on the key alone."""
    seed = np.uint64(zlib.crc32(key.encode()) << 32)
    return (splitmix64(seed + np.arange(n, dtype=np.uint64)) >> np.uint64(11)).astype(np.float64) / 2**53


def fill(name: str, shape: list[int], dtype: torch.dtype) -> torch.Tensor:
    s = 2 * uniform(name, int(np.prod(shape))) - 1
    if name.endswith("num_batches_tracked"):
        values = np.ones_like(s)
    elif name.endswith("running_var"):
        values = 1 + 0.5 * s
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * s
    elif len(shape) == 1:
        values = 1 + 0.1 * s
    elif len(shape) == 4 and shape[0] == shape[-1] == 1 and name.endswith(".w"):
        values = 1 + 0.5 * s
    else:
        values = s * np.sqrt(3 / np.prod(shape[1:]))
    return torch.from_numpy(values.reshape(shape)).to(dtype)


def filled_state(reference: dict[str, Any], front_end: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the filled state dict, its front end as the module constructs it."""
    return {
        name: front_end[name[name.index("spec.") :]]
        if name.startswith(("spec.", "backbone.spec."))
        else fill(name, shape, getattr(torch, dtype))
        for name, shape, dtype in reference["state_dict"]
    }


def front_end_of(layout: Layout) -> dict[str, torch.Tensor]:
    return {f"spec.{name}": values for name, values in build_encoder(layout.architecture).spec.state_dict().items()}


def write_published(reference: dict[str, Any], path: Path) -> Path:
    """Write a checkpoint in the published layout."""
    contents = {"model_config": reference["config"], "state_dict": {}}
    contents["state_dict"] = filled_state(reference, front_end_of(read_published(contents, path)))
    torch.save(contents, path)
    return path


def write_predecessor(path: Path) -> Path:
    """Write a checkpoint as redimnet-mrl did, with the odd things that its reference tells of."""
    reference = read_reference(PREDECESSOR)
    contents = {"config": reference["config"], "model_state_dict": {}}
    contents["model_state_dict"] = filled_state(reference, front_end_of(read_predecessor(contents, path)))
    rest = {
        "epoch": 14,
        "global_step": 256_000,
        "optimizer_state_dict": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]},
        "scheduler_state_dict": {"last_epoch": 14, "_last_lr": [np.float64(1e-4)]},
        "best_val_loss": 18.2,
        "best_eer": np.float64(0.0556),
    }
    assert {*contents, *rest} == {*reference["checkpoint_keys"]}
    torch.save(rest | contents, path)
    return path
