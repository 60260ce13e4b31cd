"""Reference vectors and the rule that fills published state dicts without their weights (see the vectors' README)."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent / "data" / "redimnet"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
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


def published_state(reference: dict[str, Any], front_end: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the filled state dict, its front end as the module constructs it."""
    return {
        name: front_end[name] if name.startswith("spec.") else fill(name, shape, getattr(torch, dtype))
        for name, shape, dtype in reference["state_dict"]
    }


def write_published(reference: dict[str, Any], path: Path) -> Path:
    """Write a checkpoint in the published layout."""
    from mrlspk.config.backbone import PublishedConfig
    from mrlspk.models.encoder import build_encoder

    config = PublishedConfig.model_validate(reference["config"])
    front_end = build_encoder(config.backbone(), (config.embed_dim,)).state_dict()
    torch.save(
        {"model_config": reference["config"], "state_dict": published_state(reference, front_end)},
        path,
    )
    return path
