"""What a run tells those who watch it."""

from dataclasses import dataclass
from typing import Any, Protocol

from mrlspk.training.baselines import Baselines
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


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step; losses are means over its batches, the rate is that of the first parameter group."""

    epoch: int
    step: int
    loss: float
    loss_by_dim: dict[int, float]
    learning_rate: float
    margin: float
    gradient_norm: float
    crops_per_second: float


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, validated."""

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
