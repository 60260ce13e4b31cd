"""Which epoch is the best, and when none better is to be expected."""

from dataclasses import replace
from typing import Protocol

from mrlspk.config import Config
from mrlspk.training.checkpoints.progress import Progress
from mrlspk.training.validation import ValidationResult


class Judged(Protocol):
    """What of a run says which epoch is the best."""

    @property
    def config(self) -> Config:
        """Resolved."""

    @property
    def full_width_limit(self) -> float | None:
        """Equal error rate at the full width that comes before all else; None for no limit."""


def note_best(run: Judged, progress: Progress, validation: ValidationResult) -> tuple[Progress, bool]:
    """Return the progress with these figures of its epoch as the best, where they are, and whether they are."""
    value, limit = best_value(run.config, validation), run.full_width_limit
    within = limit is None or validation.eer[run.config.model.embed_dim] <= limit
    before = (not progress.best_within_limit, progress.best_value)
    is_best = not progress.best_epoch or (not within, value) < before
    if is_best:
        progress = replace(progress, best_value=value, best_epoch=progress.epoch, best_within_limit=within)
    return progress, is_best


def best_value(config: Config, validation: ValidationResult) -> float:
    """Return what the best checkpoint has least of."""
    best_by = config.evaluation.best_by
    if isinstance(best_by, int):
        return validation.eer[best_by]
    return validation.loss if best_by == "loss" else validation.mean_log_eer


def is_out_of_patience(progress: Progress, patience: int | None) -> bool:
    """Return whether as many epochs as are waited for have gone by without a better one; None waits for ever.

    Within an epoch the answer is no: it is ended first.
    """
    return patience is not None and not progress.n_crops and progress.epoch - progress.best_epoch >= patience
