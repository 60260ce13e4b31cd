"""Average the weights of a run's last checkpoints: often a little better than each, for one more validation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import read_checkpoint, schema
from mrlspk.models.checkpoints.plain_values import reading_entries
from mrlspk.training.records import Progress


def average_checkpoints(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the entries of a checkpoint whose weights are the mean of those in ``paths``.

    (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", arXiv:1803.05407.)
    Statistics of normalisations are averaged like weights; counts and all other entries are those of the last one. The
    metrics have to be measured again.

    Args:
        paths: Checkpoints of one run, at least one, the newest last.

    Raises:
        CheckpointError: If one is not of the same network as the others.
    """
    checkpoints = [(path, read_checkpoint(path)) for path in paths]
    last = checkpoints[-1][1]
    entries = {key: value for key, value in last.items() if key not in schema.LAST_ONLY}
    with reading_entries(paths[-1]):
        for key in schema.AVERAGED:
            entries[key] = average_states([contents[key] for _, contents in checkpoints], paths=paths)
        return entries | {schema.AVERAGED_EPOCHS: [contents[schema.PROGRESS]["epoch"] for _, contents in checkpoints]}


def with_best_of(progress: Progress, best: Path) -> Progress:
    """Return the progress of a resumed run; its best checkpoint may be an average, made after the last epoch.

    If so, a later epoch has to beat the average, not the best epoch.

    Raises:
        CheckpointError: If the best checkpoint cannot be read.
    """
    contents = read_checkpoint(best)
    if schema.AVERAGED_EPOCHS not in contents:
        return progress
    names = "best_value", "best_epoch", "best_within_limit"
    with reading_entries(best):
        return replace(progress, **{name: contents[schema.PROGRESS][name] for name in names})


def average_states(states: Sequence[dict[str, Tensor]], *, paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of each entry, summed in float64; integers are those of the last state dict.

    Args:
        states: At least one, with equal names and shapes.
        paths: Their files, for the error.

    Raises:
        CheckpointError: If the names or the shapes of one are not those of the last.
    """
    last = states[-1]
    for state, path in zip(states, paths, strict=True):
        if _shapes(state) != _shapes(last):
            raise CheckpointError(
                f"its weights are not those of the network in {paths[-1].name}", path, "Average checkpoints of one run."
            )
    return {name: _mean([state[name] for state in states]) for name in last}


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (values.shape, values.dtype) for name, values in state.items()}


def _mean(values: Sequence[Tensor]) -> Tensor:
    if not values[-1].is_floating_point():
        return values[-1]
    total = torch.zeros_like(values[-1], dtype=torch.float64)
    for each in values:
        total += each
    return (total / len(values)).to(values[-1].dtype)
