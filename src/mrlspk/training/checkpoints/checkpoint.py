"""Checkpoints of a run: what to go on from, what to evaluate, which to keep."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mrlspk.inference.provenance import provenance_of_run
from mrlspk.models.checkpoints import encoder_entries, save_checkpoint, schema
from mrlspk.models.checkpoints.model_card import read_card
from mrlspk.training.cards.files import write_card
from mrlspk.training.checkpoints.random_state import random_state
from mrlspk.training.records import ValidationResult
from mrlspk.training.state import RunState

BEST, LAST = "best.pt", "last.pt"
# Of a head run: what it has to beat, where training started if that is not the same, and its best epoch.
ROTATION, START, TRAINED = "rotation.pt", "start.pt", "trained.pt"
UNTRAINED = ROTATION, START


def run_entries(state: RunState, validation: ValidationResult | None = None) -> dict[str, Any]:
    """Return the entries of a checkpoint for the model and this process: tensors and plain values only.

    Args:
        state: Of the run.
        validation: Metrics of this very model; None if it is not validated.
    """
    card, progress = state.card, state.progress
    if validation:
        card = card.with_results(validation.eer, validation.min_dcf, epoch=progress.epoch)
    return {
        **encoder_entries(state.module.current_encoder(), state.architecture),
        **state.module.entries(),
        **state.start,
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
    """Write a checkpoint, and beside it the card that it holds, if it does."""
    save_checkpoint(path, entries)
    if card := read_card(entries, path):
        write_card(path, card)


def save_epoch(run_dir: Path, entries: dict[str, Any], *, best_name: str | None, keep: bool, keep_last_n: int) -> None:
    """Write where wanted ``best_name`` with its card and ``epoch-NNN.pt``, then ``last.pt``.

    Kept ones beyond ``keep_last_n`` are removed.

    ``last.pt`` comes last: a run killed before it is resumed from the one before, and comes to the same best.
    """
    if best_name:
        save_with_card(run_dir / best_name, entries)
    if keep and keep_last_n:
        save_checkpoint(run_dir / f"epoch-{entries[schema.PROGRESS]['epoch']:03d}.pt", entries)
    save_checkpoint(run_dir / LAST, entries)
    kept = sorted(run_dir.glob("epoch-*.pt"))
    for old in kept[: max(0, len(kept) - keep_last_n)]:
        old.unlink()
