"""Define `Run`: the state, stepper, loader, schedule and validator that `fit` works with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.crops.sampler import RankBatches
from mrlspk.distributed import Ranks
from mrlspk.training.checkpoints.run_folder import BEST
from mrlspk.training.optimiser import LearningRate, build_learning_rate
from mrlspk.training.state import RunState
from mrlspk.training.step import Batch, Stepper
from mrlspk.training.validation import Validator


@dataclass(frozen=True)
class Run:
    """A run that `fit` can train.

    The loader is not wrapped by Fabric, whose wrapper counts epochs by itself, from 0 after a resume too.

    Attributes:
        state: Everything that changes.
        stepper: Takes the optimiser steps.
        loader: Batches of this process, in the order of ``state.batches``: inputs, classes and further inputs.
        learning_rate: Schedule over the run.
        validator: Validates each epoch.
        unreadable: What is wrong with the files that the loader could not read so far, by utterance id; it grows.
        full_width_limit: Limit on the full-width EER: an epoch above it can be the best only if all are above it.
            None: no limit.
        best_name: File of the best epoch.
    """

    state: RunState
    stepper: Stepper
    loader: Iterable[Batch]
    learning_rate: LearningRate
    validator: Validator
    unreadable: Mapping[str, str] = field(default_factory=dict)
    full_width_limit: float | None = None
    best_name: str = BEST

    @property
    def config(self) -> Config:
        """The resolved configuration."""
        return self.state.config

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return self.state.plan.run_dir

    @property
    def ranks(self) -> Ranks:
        """The processes of the run."""
        return self.state.ranks

    @property
    def batches(self) -> RankBatches:
        """Order of the crops."""
        return self.state.batches


def build_run(
    state: RunState,
    *,
    loader: Iterable[Batch],
    validator: Validator,
    unreadable: Mapping[str, str] | None = None,
    full_width_limit: float | None = None,
    best_name: str = BEST,
) -> Run:
    """Return the run of a state, with the stepper and the schedule of its configuration."""
    module, optimiser = state.wrapped
    stepper = Stepper(
        state.fabric,
        module,
        optimiser,
        max_grad_norm=state.config.training.max_grad_norm,
        ranks=state.ranks,
        crops_side_by_side=state.config.data.utterances_per_speaker,
    )
    rate = build_learning_rate(state.config, steps_per_epoch=state.steps_per_epoch)
    return Run(
        state,
        stepper,
        loader,
        rate,
        validator,
        unreadable={} if unreadable is None else unreadable,
        full_width_limit=full_width_limit,
        best_name=best_name,
    )
