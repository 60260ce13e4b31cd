"""What a run tells those who watch it."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from mrlspk.training.head.baselines import Baselines
from mrlspk.training.transfer import Transfer
from mrlspk.training.validation import ValidationResult


@dataclass(frozen=True)
class RunFacts:
    """Known before the first step.

    Attributes:
        transfer: None from scratch, and for a run that is resumed.
        n_stored: Pooled vectors that an epoch of a head run goes through; None for a run of the network.
        stored_bytes: What they take on disk.
        baselines: What a head run has to beat, once it is known.
        first_step: Optimiser steps that were done before: above 0 where a run goes on.
        resumes: Whether it goes on from a checkpoint of its own.
        n_processes: That share the work.
        effective_batch: Crops of an optimiser step, over all processes and accumulated batches.
        parameters: Values of each part of the model: front end, backbone, pooling, head, class weights.
    """

    run_dir: str
    config: dict[str, Any]
    n_speakers: int
    n_utterances: int
    n_classes: int
    n_validation_speakers: int
    n_validation_trials: int
    trained_parameters: int
    frozen_parameters: int
    steps_per_epoch: int
    num_epochs: int
    first_epoch: int
    transfer: Transfer | None
    n_stored: int | None = None
    stored_bytes: int | None = None
    baselines: Baselines | None = None
    first_step: int = 0
    resumes: bool = False
    n_processes: int = 1
    effective_batch: int = 0
    parameters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step; losses are means over its batches, the rate is that of the first parameter group.

    Attributes:
        loss: Not a finite number where the step was left out; ``loss_by_dim`` and ``gradient_norm`` may be none either.
        utterances_per_second: Of all processes, waiting for data included.
        waiting_share: Part of the step's time, in [0, 1], in which this process waited for its batches.
        memory_mib: Most memory so far: reserved on the GPU, or resident of this process on a CPU.
        n_skipped: Steps left out so far in the run, for a loss that was no finite number.
    """

    epoch: int
    step: int
    loss: float
    loss_by_dim: dict[int, float]
    learning_rate: float
    margin: float
    gradient_norm: float
    utterances_per_second: float
    waiting_share: float
    memory_mib: float
    n_skipped: int = 0


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, validated; ``train_loss`` is the mean over the steps that were not left out."""

    epoch: int
    step: int
    train_loss: float
    validation: ValidationResult
    is_best: bool
    seconds: float


class Observer(Protocol):
    """Watches a run: a log, a progress display."""

    def run_started(self, facts: RunFacts) -> None:
        """Take note of what is to come."""

    def step_done(self, record: StepRecord) -> None:
        """Take note of an optimiser step."""

    def epoch_done(self, record: EpochRecord) -> None:
        """Take note of a validated epoch."""

    def run_ended(self) -> None:
        """Close what is open; called after a failure too."""
