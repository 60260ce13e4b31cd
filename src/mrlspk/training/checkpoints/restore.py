"""A run brought back to where a checkpoint left it."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema
from mrlspk.training.checkpoints.corpus_list import describe_difference
from mrlspk.training.checkpoints.random_state import seed_apart, set_random_state
from mrlspk.training.checkpoints.resume import ResumePoint
from mrlspk.training.records import Progress
from mrlspk.training.state import RunState

log = logging.getLogger("mrlspk.training")

BEGIN_ANEW = "Begin a new run with --init-from."


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
        raise CheckpointError("it is no checkpoint that training can go on from to the step", path, BEGIN_ANEW)
    _compare_corpora(state, entries, path)
    _compare_processes(state, entries[schema.PROCESSES], path)
    try:
        state.module.load_entries(entries)
        state.start = {key: entries[key] for key in schema.RUN_START if key in entries}
        state.optimiser.load_state_dict(entries[schema.OPTIMISER])
        state.fabric.strategy.precision.load_state_dict(entries[schema.PRECISION])
        state.progress = TypeAdapter(Progress).validate_python(entries[schema.PROGRESS])
        if entries[schema.CONFIG]["training"]["batch_size"] != state.config.training.batch_size:
            state.progress = replace(state.progress, n_parts=1)  # the batch that ran out of memory was of another size
        _restore_generators(state, entries[schema.RANDOM_STATES])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"training cannot go on from it: {error}", path, "Resume with the corpus and configuration of its run."
        ) from error


def _restore_generators(state: RunState, states: list[dict[str, Any]]) -> None:
    """Bring this process's generators back; one that the run did not have before begins a stream of its own."""
    number = state.ranks.rank
    if number < len(states):
        set_random_state(states[number], state.fabric.device)
    else:
        seed_apart(state.config.seed, number)


def _compare_corpora(state: RunState, entries: dict[str, Any], path: Path) -> None:
    """Refuse another corpus, or say what changed."""
    if entries[schema.CORPUS] == state.plan.corpus:
        return
    ids = state.plan.data.train.utterance_ids
    changed = describe_difference(path.parent, ids) or "the validation trials are others"
    if not state.plan.allow_changes:
        raise CheckpointError(
            f"the corpus is not the one that it was trained on: {changed}",
            path,
            "Bring the corpus back to what it was, go on with --allow-changes, or begin a new run with --init-from.",
        )
    log.warning("the run goes on with another corpus: %s", changed)


def _compare_processes(state: RunState, before: dict[str, int], path: Path) -> None:
    """Refuse another number of processes, or of crops in a step, or say what changed."""
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
            f"Start {before['n']}, or convert it with --allow-changes; {_same_step(state, before['effective_batch'])}.",
        )
    log.warning(
        "%s; a step of as many crops is the same up to rounding, but for what looks at a batch as a whole (triplets, "
        "distillation, trained statistics); any other changes what is learnt",
        changed,
    )


def _same_step(state: RunState, wanted: int) -> str:
    """Return the setting by which a step has as many crops as before."""
    per_batch = state.config.training.batch * state.ranks.world_size
    if wanted % per_batch == 0:
        return f"a step has as many crops as before with --set training.accumulation_steps={wanted // per_batch}"
    if wanted % state.ranks.world_size == 0:
        return (
            f"a step has as many crops as before with --set training.batch_size={wanted // state.ranks.world_size} "
            "--set training.accumulation_steps=1"
        )
    return "no batch size gives a step as many crops as before"
