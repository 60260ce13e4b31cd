"""How far a run is: what it goes on from, to the crop."""

import math
from dataclasses import dataclass, field, replace

from pydantic import NonNegativeInt, PositiveInt

from mrlspk.training.step import StepResult


@dataclass(frozen=True)
class EpochSoFar:
    """The steps of an epoch that were done: how many, and the sums of their loss, class loss and margin.

    The class loss is the loss without distillation.
    """

    n_steps: NonNegativeInt = 0
    loss: float = 0.0
    class_loss: float = 0.0
    margin: float = 0.0

    def with_step(self, *, loss: float, class_loss: float, margin: float) -> "EpochSoFar":
        """Return it with one step more."""
        return EpochSoFar(self.n_steps + 1, self.loss + loss, self.class_loss + class_loss, self.margin + margin)

    @property
    def mean_loss(self) -> float:
        """The mean loss; no number where no step was done."""
        return self.loss / self.n_steps if self.n_steps else math.nan


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        epoch: Epochs that are done and validated.
        step: Optimiser steps done, those that were left out too.
        n_crops: Crops of the epoch that is going on which all processes together have taken.
        so_far: Its steps.
        best_value: Least value of what the best epoch has least of.
        best_epoch: Which that is; 0 for none.
        best_within_limit: Whether the full width of the best epoch is as good as it has to be, where there is a limit.
        n_skipped: Steps that were left out.
        n_skipped_in_a_row: Those of them since the last that was done.
        n_parts: Parts that each batch is taken in, since memory ran out.
    """

    epoch: NonNegativeInt = 0
    step: NonNegativeInt = 0
    n_crops: NonNegativeInt = 0
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    best_value: float = float("inf")
    best_epoch: NonNegativeInt = 0
    best_within_limit: bool = True
    n_skipped: NonNegativeInt = 0
    n_skipped_in_a_row: NonNegativeInt = 0
    n_parts: PositiveInt = 1

    @property
    def place(self) -> tuple[int, int]:
        """Return what orders moments of a run: epochs done, then crops of the next."""
        return self.epoch, self.n_crops

    def after_step(
        self, result: StepResult, *, class_loss: float, margin: float, n_crops: int, n_parts: int
    ) -> "Progress":
        """Return the progress after a step of ``n_crops``, of all processes."""
        moved = replace(self, step=self.step + 1, n_crops=self.n_crops + n_crops, n_parts=n_parts)
        if not result.is_done:
            return replace(moved, n_skipped=self.n_skipped + 1, n_skipped_in_a_row=self.n_skipped_in_a_row + 1)
        return replace(
            moved,
            so_far=self.so_far.with_step(loss=result.loss, class_loss=class_loss, margin=margin),
            n_skipped_in_a_row=0,
        )

    def after_epoch(self) -> "Progress":
        """Return the progress with the epoch that is going on done."""
        return replace(self, epoch=self.epoch + 1, n_crops=0, so_far=EpochSoFar())
