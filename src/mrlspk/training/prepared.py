"""The parts of a run, and where it comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_fabric import Fabric

from mrlspk.config import Config
from mrlspk.data.batches import RankBatches
from mrlspk.data.build import TrainingData
from mrlspk.data.dataset import SampleKey
from mrlspk.models.encoder import Encoder
from mrlspk.rotation.closed_form import Method
from mrlspk.training.checkpoints.checkpoint import RunState
from mrlspk.training.records import Progress, RunFacts
from mrlspk.training.start import StartingPoint, wanted_rotation
from mrlspk.training.step import Stepper


@dataclass(frozen=True)
class Source:
    """Where a run comes from, and how much of it is wanted.

    Attributes:
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        resume: ``never``, ``auto`` or the path of a run or checkpoint.
        allow_changes: Go on with another corpus, configuration or number of processes.
        max_batches: End each epoch after so many batches.
    """

    cache_dir: Path
    mirror: str | None = None
    resume: str = "never"
    allow_changes: bool = False
    max_batches: int | None = None


@dataclass(frozen=True)
class Prepared:
    """The parts of a run that could start, from ``progress``.

    Attributes:
        config: Resolved.
        data: Corpora and trials.
        start: What the encoder was; ``state`` has it as it is trained.
        state: All that changes during the run.
        wrapped: Module and optimiser as Fabric wraps them.
        batches: Which crops make which batch: of the corpus, or of stored vectors in a run that trains the head alone.
        progress: How far the run is.
        resumes: Whether it goes on from a checkpoint of its own.
        run_dir: Its folder.
        class_weights_kept: Whether the class weights are those of the model to start from.
        max_batches: End each epoch after so many batches.
        facts: For those who watch.
    """

    config: Config
    data: TrainingData
    start: StartingPoint
    state: RunState
    wrapped: tuple[Any, Any]
    batches: RankBatches
    progress: Progress
    resumes: bool
    run_dir: Path
    class_weights_kept: bool
    max_batches: int | None
    facts: RunFacts

    @property
    def fabric(self) -> Fabric:
        """Device and precision."""
        return self.state.fabric

    @property
    def encoder(self) -> Encoder:
        """The encoder that is trained, on its device."""
        return self.state.module.encoder

    @property
    def class_means_wanted(self) -> bool:
        """Whether the class weights are to begin where the speakers are."""
        loaded = self.start.loaded is not None or self.config.trains_head_alone
        return loaded and self.config.head.class_start == "means" and not self.class_weights_kept

    @property
    def wanted_rotation(self) -> Method | Literal["auto"]:
        """How the head of the model to start from is turned; none where it stays as it is."""
        return wanted_rotation(self.config.head, self.start.loaded)

    def name_crop(self, key: SampleKey) -> str:
        """Return the utterance that a crop, or a stored vector, is cut from."""
        return self.data.train.utterance_id(key.index)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps."""
        return self.facts.steps_per_epoch


def build_stepper(prepared: Prepared) -> Stepper:
    """Return what takes the steps of a run."""
    config, (module, optimiser) = prepared.config, prepared.wrapped
    return Stepper(
        prepared.fabric,
        module,
        optimiser,
        max_grad_norm=config.training.max_grad_norm,
        ranks=prepared.state.ranks,
        crops_side_by_side=config.data.utterances_per_speaker,
    )
