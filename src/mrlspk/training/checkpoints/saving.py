"""Write the checkpoints of a run: by steps or minutes within an epoch, and at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mrlspk.distributed import raising_on_all_ranks
from mrlspk.errors import CheckpointError, MrlspkError
from mrlspk.files import remove_file
from mrlspk.inference.provenance import provenance_of_run
from mrlspk.models.checkpoints import encoder_entries, read_checkpoint, save_checkpoint, schema
from mrlspk.models.checkpoints.model_card import TransformCard, read_card
from mrlspk.training.card_files import with_validation, write_card
from mrlspk.training.checkpoints.random_state import random_state
from mrlspk.training.checkpoints.run_folder import BEST, LAST, kept_epochs
from mrlspk.training.records import Progress, ValidationResult
from mrlspk.training.state import RunState


class Saver:
    """Writes the checkpoints of a run. Every process calls it, the first one writes.

    Args:
        state: Of the run.
        run_dir: Folder of the run.
        every_steps: Write ``last.pt`` every so many steps; None: not by steps.
        every_minutes: Write it every so many minutes; None: not by time.
        keep_every: Keep the checkpoint of every so many epochs.
        keep_last_n: Number of epochs to keep.
    """

    def __init__(
        self,
        state: RunState,
        run_dir: Path,
        *,
        every_steps: int | None,
        every_minutes: float | None,
        keep_every: int,
        keep_last_n: int,
    ) -> None:
        self._state, self._run_dir = state, run_dir
        self._every_steps, self._every_minutes = every_steps, every_minutes
        self._keep_every, self._keep_last_n = keep_every, keep_last_n
        self._last: Progress | None = None
        self._saved = time.monotonic()

    @property
    def is_time(self) -> bool:
        """Whether ``last.pt`` is due by time; only the first process knows."""
        minutes = self._every_minutes
        return self._state.ranks.is_first and minutes is not None and time.monotonic() - self._saved >= 60 * minutes

    def is_due(self, n_steps: int) -> bool:
        """Return whether ``last.pt`` is due after ``n_steps`` of the run."""
        return self._every_steps is not None and n_steps % self._every_steps == 0

    def save_within(self) -> None:
        """Write ``last.pt`` between validations, unless it is already there for this progress.

        Raises:
            MrlspkError: If it cannot be written; the previous one is unchanged, and is named.
        """
        if self._state.progress == self._last:
            return
        with self._writing() as of_processes:
            if self._state.ranks.is_first:
                save_checkpoint(self._run_dir / LAST, run_entries(self._state) | of_processes)
        self._last = self._state.progress

    def save_epoch(self, validation: ValidationResult, *, best_name: str | None) -> None:
        """Write the checkpoints of a validated epoch, see `save_epoch`.

        Raises:
            MrlspkError: If a file cannot be written; the previous ``last.pt`` is unchanged, and is named.
        """
        with self._writing() as of_processes:
            if self._state.ranks.is_first:
                entries = run_entries(self._state, validation) | of_processes
                keep = self._state.progress.epoch % self._keep_every == 0
                save_epoch(self._run_dir, entries, best_name=best_name, keep=keep, keep_last_n=self._keep_last_n)

    @contextmanager
    def _writing(self) -> Iterator[dict[str, Any]]:
        """Yield the entries about all processes; an error in the first process is raised in all of them."""
        of_processes = process_entries(self._state)
        with raising_on_all_ranks(self._state.ranks):
            try:
                yield of_processes
            except MrlspkError as error:
                raise naming_last_good(error, self._run_dir) from error
        self._saved = time.monotonic()


def build_saver(state: RunState) -> Saver:
    """Return the saver of a run, as section ``logging`` configures it."""
    config = state.config.logging
    return Saver(
        state,
        state.plan.run_dir,
        every_steps=config.save_every_steps,
        every_minutes=config.save_every_minutes,
        keep_every=config.save_interval,
        keep_last_n=config.keep_last_n,
    )


def run_entries(state: RunState, validation: ValidationResult | None = None) -> dict[str, Any]:
    """Return the entries of a checkpoint for the model and this process: tensors and plain values only.

    Args:
        state: Of the run.
        validation: Metrics of this model; None if it is not validated.
    """
    card, progress = state.card, state.progress
    if found := state.start.get(schema.TRANSFORM):
        card = card.model_copy(update={"transform": TransformCard(**found)})
    if validation:
        card = with_validation(card, validation, epoch=progress.epoch)
    return {
        **encoder_entries(state.module.current_encoder(), state.architecture),
        **state.module.entries(),
        **{key: state.start[key] for key in schema.RUN_START if key in state.start},  # in one order, resumed or not
        schema.PROVENANCE: provenance_of_run(state.config, state.card.base).entry(),
        schema.CONFIG: state.config.model_dump(mode="json"),
        schema.OPTIMISER: state.optimiser.state_dict(),
        schema.PROGRESS: asdict(progress),
        **({schema.VALIDATION: validation.entry()} if validation else {}),
        schema.CORPUS: state.plan.corpus,
        schema.CARD: card.entry(),
        schema.PRECISION: state.fabric.strategy.precision.state_dict(),
    }


def process_entries(state: RunState) -> dict[str, Any]:
    """Return the entries about all processes, for a checkpoint to resume from; every process must call it."""
    return {
        schema.RANDOM_STATES: state.ranks.all_gather(random_state(state.fabric.device)),
        schema.PROCESSES: {"n": state.ranks.world_size, "effective_batch": state.effective_batch},
    }


def save_with_card(path: Path, entries: dict[str, Any]) -> None:
    """Write a checkpoint, and beside it its model card, if it holds one."""
    save_checkpoint(path, entries)
    if card := read_card(entries, path):
        write_card(path, card)


def save_epoch(run_dir: Path, entries: dict[str, Any], *, best_name: str | None, keep: bool, keep_last_n: int) -> None:
    """Write ``best_name`` with its model card and ``epoch-NNN.pt``, if wanted, then ``last.pt``.

    ``last.pt`` comes last: a run killed before that is resumed from the previous one, and finds the same best. Kept
    epochs beyond ``keep_last_n`` are removed.
    """
    if best_name:
        save_with_card(run_dir / best_name, entries)
    if keep and keep_last_n:
        save_checkpoint(run_dir / f"epoch-{entries[schema.PROGRESS]['epoch']:03d}.pt", entries)
    save_checkpoint(run_dir / LAST, entries)
    kept = kept_epochs(run_dir)
    for old in kept[: max(0, len(kept) - keep_last_n)]:
        remove_file(old)


def naming_last_good(error: MrlspkError, run_dir: Path) -> MrlspkError:
    """Return the error of a checkpoint that could not be written, with the checkpoint that the run can resume from."""
    last, best = run_dir / LAST, run_dir / BEST
    if last.is_file():
        fix = f"{_described(last)}: free some disk space, and resume with `resume={run_dir}`."
    else:
        fix = "The run has no checkpoint to resume from yet: free some disk space, and start again."
        fix += f" {best} is whole." if best.is_file() else ""
    return MrlspkError(error.what, error.where, fix)


def _described(last: Path) -> str:
    try:
        progress = read_checkpoint(last)[schema.PROGRESS]
    except CheckpointError as error:
        return f"{last} cannot be read either ({error.what})"
    return f"{last}, of step {progress['step']} ({progress['epoch']} epochs done), is whole"
