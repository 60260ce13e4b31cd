"""Restore the state of a run from its checkpoint."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import torch
from pydantic import PositiveInt, TypeAdapter
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema
from mrlspk.training.checkpoints.random_state import seed_apart, set_random_state
from mrlspk.training.checkpoints.resume_point import ResumePoint
from mrlspk.training.checkpoints.run_folder import describe_corpus_change
from mrlspk.training.records import Progress
from mrlspk.training.state import RunState

log = logging.getLogger("mrlspk.training")

# What loading raises for an entry of another type than the one that was saved.
_DAMAGED = KeyError, IndexError, AttributeError, TypeError, RuntimeError, ValueError, OverflowError
AVERAGES = {AdamW: frozenset({"step", "exp_avg", "exp_avg_sq"}), SGD: frozenset({"momentum_buffer"})}

BEGIN_ANEW = "Begin a new run with `init_from`."


class _Processes(TypedDict):
    """The entry of the processes."""

    n: PositiveInt
    effective_batch: PositiveInt


def restore(state: RunState, point: ResumePoint) -> None:
    """Load a checkpoint into the state of its run: weights, optimiser, random generators and progress.

    If the plan allows changes, another corpus or number of processes is accepted, with a warning.

    Raises:
        CheckpointError: If the checkpoint is not of a run of this architecture, corpus and processes.
    """
    path, entries = point.path, point.entries
    if schema.CORPUS not in entries:
        raise CheckpointError("it does not say what corpus it was trained on", path, BEGIN_ANEW)
    if schema.RANDOM_STATES not in entries or schema.PROCESSES not in entries:
        raise CheckpointError("it holds no random generators, so training cannot resume from it", path, BEGIN_ANEW)
    _compare_corpora(state, entries, path)
    try:
        processes = TypeAdapter(_Processes).validate_python(entries[schema.PROCESSES], strict=True)
        state.module.load_entries(entries)
        state.start = {key: entries[key] for key in schema.RUN_START if key in entries}
        _restore_optimiser(state.optimiser, entries[schema.OPTIMISER])
        state.fabric.strategy.precision.load_state_dict(entries[schema.PRECISION])
        state.progress = TypeAdapter(Progress).validate_python(entries[schema.PROGRESS])
        if entries[schema.CONFIG]["training"]["batch_size"] != state.config.training.batch_size:
            state.progress = replace(state.progress, n_parts=1)  # the batch that ran out of memory was of another size
        _restore_generators(state, entries[schema.RANDOM_STATES])
    except _DAMAGED as error:
        raise CheckpointError(
            f"training cannot resume from it: {error}", path, "Resume with the corpus and configuration of its run."
        ) from error
    _compare_processes(state, processes, path)


def _restore_optimiser(optimiser: Optimizer, saved: dict[str, Any]) -> None:
    """Load the averages of each parameter, and the rate of the last step; other options are of the configuration.

    Raises:
        ValueError: If the averages are not those of these parameters.
    """
    options = [
        {name: value for name, value in group.items() if name not in {"params", "lr"}}
        for group in optimiser.param_groups
    ]
    optimiser.load_state_dict(saved)
    for group, own in zip(optimiser.param_groups, options, strict=True):
        group.update(own, lr=float(group["lr"]))
        for parameter in group["params"]:
            _check_averages(optimiser.state.get(parameter, {}), parameter, names=AVERAGES[type(optimiser)])


def _check_averages(averages: dict[str, Any], parameter: Tensor, *, names: frozenset[str]) -> None:
    if averages and averages.keys() != names:  # a parameter without a step so far has none
        raise ValueError(f"the optimiser holds {', '.join(averages)} for a parameter, expected {', '.join(names)}")
    for name, values in averages.items():
        shape = torch.Size() if name == "step" else parameter.shape
        if not isinstance(values, Tensor) or values.shape != shape or not values.isfinite().all():
            raise ValueError(f"the optimiser's {name} is not finite values of shape {tuple(shape)}")
        if name == "step" and values < 0:
            raise ValueError(f"the optimiser has taken {values.item()} steps")


def _restore_generators(state: RunState, states: list[dict[str, Any]]) -> None:
    """Restore the random generators of this process; a process that the run did not have before is seeded."""
    number = state.ranks.rank
    if number < len(states):
        set_random_state(states[number], state.fabric.device)
    else:
        seed_apart(state.config.seed, number)


def _compare_corpora(state: RunState, entries: dict[str, Any], path: Path) -> None:
    """Refuse another corpus, or warn of the changes if they are allowed."""
    if entries[schema.CORPUS] == state.plan.corpus:
        return
    ids = state.plan.data.train.utterance_ids
    trained_on = "the speakers or values of vectors differ" if state.config.data.vectors else None
    changed = describe_corpus_change(path.parent, ids) or trained_on or "the validation trials differ"
    if not state.plan.allow_changes:
        raise CheckpointError(
            f"the corpus is not the one that it was trained on: {changed}",
            path,
            "Restore the corpus, accept the changes with `allow_changes`, or begin a new run with `init_from`.",
        )
    log.warning("the run is resumed with another corpus: %s", changed)


def _compare_processes(state: RunState, before: _Processes, path: Path) -> None:
    """Refuse another number of processes, or of crops in a step, or warn of the change if it is allowed."""
    n, crops = state.ranks.world_size, state.effective_batch
    if (before["n"], before["effective_batch"]) == (n, crops):
        return
    changed = (
        f"it was trained by {before['n']} processes with {before['effective_batch']} crops a step, "
        f"and now there would be {n} with {crops}"
    )
    if not state.plan.allow_changes:
        raise CheckpointError(
            changed,
            path,
            f"Start {before['n']}, or accept the change with `allow_changes`; "
            f"{_same_step(state, before['effective_batch'])}.",
        )
    log.warning(
        "%s; with as many crops, a step is the same up to rounding, except for what depends on the whole batch "
        "(triplets, distillation, trained statistics); otherwise training differs",
        changed,
    )


def _same_step(state: RunState, wanted: int) -> str:
    """Return the settings that give a step as many crops as before."""
    per_batch = state.config.training.batch * state.ranks.world_size
    if wanted % per_batch == 0:
        return f"a step has as many crops as before with `set=training.accumulation_steps={wanted // per_batch}`"
    if wanted % state.ranks.world_size == 0:
        return (
            f"a step has as many crops as before with `set=training.batch_size={wanted // state.ranks.world_size}` and "
            "`set=training.accumulation_steps=1`"
        )
    return "no batch size gives a step as many crops as before"
