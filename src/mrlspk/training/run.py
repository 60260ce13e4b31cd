"""What `fit` works with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.batches import RankBatches
from mrlspk.data.dataset import SampleKey
from mrlspk.distributed import Ranks
from mrlspk.training.checkpoints.checkpoint import BEST, RunState
from mrlspk.training.optimiser import LearningRate
from mrlspk.training.step import Batch, Stepper
from mrlspk.training.validation import Validator


@dataclass(frozen=True)
class Run:
    """What a run works with.

    The loader is bare: as Fabric wraps it, it would count epochs by itself, from 0 after a resume too.

    Attributes:
        stepper: Takes the steps.
        state: What checkpoints are of.
        loader: Batches of this process, as ``batches`` says; each is inputs, classes and what else the module takes.
        batches: Which crops make which batch.
        name_crop: Returns the utterance that a crop is cut from.
        learning_rate: Over the run.
        validator: Of each epoch.
        run_dir: Where the run is written to.
        config: Resolved.
        max_batches: End each epoch after so many.
        full_width_limit: An equal error rate: an epoch whose full width is above it becomes the best only where none is
            below; None for no limit.
        best_name: The file that the best epoch is written to.
    """

    stepper: Stepper
    state: RunState
    loader: Iterable[Batch]
    batches: RankBatches
    name_crop: Callable[[SampleKey], str]
    learning_rate: LearningRate
    validator: Validator
    run_dir: Path
    config: Config
    max_batches: int | None
    full_width_limit: float | None = None
    best_name: str = BEST

    @property
    def ranks(self) -> Ranks:
        """The processes of the run."""
        return self.state.ranks

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return min(len(self.batches), self.max_batches or len(self.batches))

    @property
    def crops_per_step(self) -> int:
        """Crops of a whole optimiser step, of all processes."""
        return self.batches.crops_of_all * self.config.training.accumulation_steps
