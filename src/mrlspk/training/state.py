"""State of a run: everything that changes while it trains."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lightning_fabric import Fabric
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.data.crops.sampler import RankBatches
from mrlspk.distributed import Ranks
from mrlspk.feature_store.shards import store_bytes
from mrlspk.models.checkpoints import LoadedModel, schema
from mrlspk.models.checkpoints.model_card import ModelCard
from mrlspk.models.head import MatryoshkaHead
from mrlspk.rotation.closed_form import Method
from mrlspk.training.corpus_sizes import n_passes
from mrlspk.training.plan import RunPlan
from mrlspk.training.records import Baselines, Progress, RunFacts, WarmStart
from mrlspk.training.trained_module import TrainedModule, count_by_part, count_parameters
from mrlspk.training.warm_start import wanted_rotation


@dataclass
class RunState:
    """A run between two steps.

    Attributes:
        plan: What is trained, and where it is written.
        fabric: Device and precision; the loss scale of fp16 changes.
        ranks: The processes of the run.
        module: Encoder and loss, not wrapped.
        optimiser: Not wrapped.
        wrapped: Module and optimiser as Fabric wraps them.
        batches: Order of the crops; it knows its place in the epoch.
        architecture: Rebuilds the encoder.
        card: Model card of the checkpoints, without metrics.
        loaded: The model that the encoder was built from, without its other entries; None from scratch and in a resumed
            run.
        warm_start: What was taken over from that model; None from scratch and in a resumed run.
        progress: How far the run is.
        start: Entries `schema.RUN_START` of each checkpoint; empty until the start of the run is known.
    """

    plan: RunPlan
    fabric: Fabric
    ranks: Ranks
    module: TrainedModule
    optimiser: Optimizer
    wrapped: tuple[Any, Any]
    batches: RankBatches
    architecture: Architecture
    card: ModelCard
    loaded: LoadedModel | None = None
    warm_start: WarmStart | None = None
    progress: Progress = field(default_factory=Progress)
    start: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The resolved configuration."""
        return self.plan.config

    @property
    def effective_batch(self) -> int:
        """Crops of an optimiser step, over all processes and accumulated batches."""
        return self.batches.crops_of_all * self.config.training.accumulation_steps

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return min(len(self.batches), self.plan.max_batches or len(self.batches))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return math.ceil(self.n_batches / self.config.training.accumulation_steps)

    @property
    def published_head(self) -> MatryoshkaHead | None:
        """A copy of the head of the model that the encoder was built from; None without one."""
        return self.loaded.encoder.copy_head() if self.loaded else None

    @property
    def wanted_rotation(self) -> Method | Literal["auto"]:
        """Method by which that head is rotated."""
        return wanted_rotation(self.config.head, self.loaded)

    @property
    def wants_class_means(self) -> bool:
        """Whether prototypes start at the means of their classes."""
        has_model = self.loaded is not None or self.config.trains_head_alone
        kept = self.warm_start is not None and self.warm_start.class_weights == "kept"
        return has_model and self.config.head.class_start == "means" and not kept

    @property
    def baselines(self) -> Baselines | None:
        """EERs of the baselines of a head run; None for other runs, and before they are measured."""
        entry = self.start.get(schema.BASELINES)
        return Baselines(**entry) if entry else None


def describe_run(state: RunState) -> RunFacts:
    """Return the sizes of a run, and where it starts."""
    plan, config, module = state.plan, state.config, state.module
    stores = config.trains_head_alone and not config.data.vectors
    n_stored = len(plan.data.train) * n_passes(config) if stores else None
    n_features = module.encoder.pooled_dim
    return RunFacts(
        run_dir=str(plan.run_dir),
        config=config.model_dump(mode="json"),
        n_speakers=len(plan.data.train.speakers),
        n_utterances=len(plan.data.train) // len(plan.data.train.speeds),
        n_classes=plan.data.train.n_classes,
        n_validation_speakers=len(plan.data.validation.speakers),
        n_validation_trials=len(plan.data.validation_trials),
        trained_parameters=count_parameters(module, trained=True),
        frozen_parameters=count_parameters(module, trained=False),
        steps_per_epoch=state.steps_per_epoch,
        num_epochs=config.training.epochs,
        first_epoch=state.progress.epoch + 1,
        first_step=state.progress.step,
        resumes=plan.resumes,
        n_processes=state.ranks.world_size,
        effective_batch=state.effective_batch,
        parameters=count_by_part(module),
        transfer=state.warm_start,
        n_stored=n_stored,
        stored_bytes=None if n_stored is None else store_bytes(n_stored, n_features, config.features.dtype),
        baselines=state.baselines,
        left_out=plan.data.left_out,
        published_dims=config.model.matryoshka_dims,
    )
