"""Select the best epoch of a run, or the mean of its last epochs if that is better."""

import copy
from dataclasses import asdict, replace

from mrlspk.config import Config
from mrlspk.models.checkpoints import save_checkpoint, schema
from mrlspk.training.card_files import with_validation
from mrlspk.training.checkpoints.averaging import average_checkpoints
from mrlspk.training.checkpoints.run_folder import AVERAGED, kept_epochs
from mrlspk.training.checkpoints.saving import save_with_card
from mrlspk.training.records import Progress, ValidationResult
from mrlspk.training.run import Run


def note_best(
    config: Config, progress: Progress, validation: ValidationResult, *, full_width_limit: float | None = None
) -> tuple[Progress, bool]:
    """Return the progress, with its epoch as the best if it is, and whether it is.

    Args:
        config: ``evaluation.best_by`` names the metric that is compared.
        progress: After the epoch.
        validation: Of the epoch.
        full_width_limit: Limit on the full-width EER: an epoch above it can be the best only if all are above it.
    """
    value, eer = best_value(config, validation), validation.eer[config.model.embed_dim]
    within = full_width_limit is None or eer <= full_width_limit
    before = (not progress.best_within_limit, progress.best_value)
    is_best = not progress.best_epoch or (not within, value) < before
    if is_best:
        progress = replace(progress, best_value=value, best_epoch=progress.epoch, best_within_limit=within)
    return progress, is_best


def best_value(config: Config, validation: ValidationResult) -> float:
    """Return the metric that selects the best epoch; lower is better."""
    best_by = config.evaluation.best_by
    if isinstance(best_by, int):
        return validation.eer[best_by]
    return validation.loss if best_by == "loss" else validation.mean_log_eer


def is_out_of_patience(progress: Progress, patience: int | None) -> bool:
    """Return whether ``patience`` epochs have passed without a better one; never with None, nor within an epoch."""
    return patience is not None and not progress.n_crops and progress.epoch - progress.best_epoch >= patience


def average_last(run: Run) -> None:
    """Validate the mean of the last kept checkpoints if the configuration asks for it, and note it in the progress.

    Write it as ``averaged.pt``, and as the best checkpoint if it is better.

    Raises:
        CheckpointError: If a kept checkpoint is not of this network.
        DataError: If a validation utterance cannot be embedded.
    """
    wanted, state = run.config.training.average_last, run.state
    if not wanted:
        return
    entries = average_checkpoints(kept_epochs(run.run_dir)[-wanted:])
    encoder = copy.deepcopy(state.module.current_encoder())
    encoder.load_state_dict(entries[schema.MODEL])
    validation = run.validator.validate(encoder)
    state.progress, is_best = note_best(run.config, state.progress, validation, full_width_limit=run.full_width_limit)
    card = with_validation(state.card, validation, epoch=state.progress.epoch)
    entries |= {
        schema.PROGRESS: asdict(state.progress),
        schema.VALIDATION: validation.entry(),
        schema.CARD: card.entry(),
    }
    if not run.ranks.is_first:
        return
    save_checkpoint(run.run_dir / AVERAGED, entries)
    if is_best:
        save_with_card(run.run_dir / run.best_name, entries)
