"""A run put together from its configuration, before anything is written or computed."""

import logging
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric

from mrlspk.config import Config
from mrlspk.data.batches import RankBatches
from mrlspk.data.build import TrainingData, build_sampler, build_training_data, check_disjoint
from mrlspk.data.dataset import SampleKey
from mrlspk.data.manifest import scan_corpus
from mrlspk.data.trials import read_trials
from mrlspk.encoding.locate import ModelFile
from mrlspk.errors import ConfigError, MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import Encoder
from mrlspk.models.rotation import Method
from mrlspk.models.sync_batchnorm import build_sync_batchnorm
from mrlspk.training.acceleration import build_acceleration, set_tf32
from mrlspk.training.agreement import by_first, failing_together
from mrlspk.training.checkpoint import UNTRAINED, RunState, effective_batch
from mrlspk.training.features.layout import store_bytes
from mrlspk.training.fit import is_frozen
from mrlspk.training.head_module import HeadModule
from mrlspk.training.head_optimiser import build_head_optimiser
from mrlspk.training.model_card import BaseCard
from mrlspk.training.modules import TrainedModule, count_by_part, count_parameters
from mrlspk.training.network_module import build_network_module
from mrlspk.training.optimiser import build_optimiser
from mrlspk.training.origin import begin_card, describe_base, resumed_base
from mrlspk.training.progress import Progress
from mrlspk.training.ranks import Ranks
from mrlspk.training.records import RunFacts
from mrlspk.training.restore import restore
from mrlspk.training.resume import check_nothing_lost, find_resume_point
from mrlspk.training.start import StartingPoint, build_start, origin_checkpoint, wanted_rotation
from mrlspk.training.step import Stepper, wrap
from mrlspk.training.transfer import Transfer, report_transfer, take_class_weights

log = logging.getLogger("mrlspk.training")


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
        return self.data.train.path_of(key.index).relative_to(self.data.train.root).as_posix()

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps."""
        return self.facts.steps_per_epoch


def prepare(config: Config, fabric: Fabric, ranks: Ranks, *, source: Source) -> Prepared:
    """Build all parts of a run that need no audio, without writing anything.

    Args:
        config: Resolved.
        fabric: Launched, unless nothing is to be trained.
        ranks: Its processes.
        source: Where the run comes from.

    Raises:
        ConfigError: If the batch is larger than the epoch, or the parts of the model do not fit together.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    resume_point, run_dir = by_first(ranks, lambda: _find_run(config, source.resume))
    with failing_together(ranks):  # a machine that lacks a file lets nobody wait
        data = build_training_data(config.data, seed=config.seed)
        _check_test_speakers(config, data)
        _set_up_torch(config)
        origin = None if resume_point else origin_checkpoint(config, cache_dir=source.cache_dir, mirror=source.mirror)
        start = build_start(config, ModelFile(resume_point, str(resume_point)) if resume_point else origin)
        base = _base(config, start, origin, resume_point, source.cache_dir)
        state = _build_state(config, data, start, base, fabric=fabric, ranks=ranks, run_name=run_dir.name)
    state.module.set_mode(backbone_frozen=is_frozen(config, config.training.num_epochs - 1))  # all that is ever trained
    wrapped = wrap(fabric, state.module, state.optimiser)
    progress = Progress()
    if resume_point:
        ids = data.train.utterance_ids
        with failing_together(ranks):
            progress = restore(state, resume_point, utterance_ids=ids, allow_changes=source.allow_changes)
            check_nothing_lost(resume_point)
    state.module.set_mode(backbone_frozen=is_frozen(config, progress.epoch))
    transfer = _carry_over(state, data, start, origin) if origin else None
    batches = build_batches(config, data, ranks)
    return Prepared(
        config=config,
        data=data,
        start=start,
        state=state,
        wrapped=wrapped,
        batches=batches,
        progress=progress,
        resumes=resume_point is not None,
        run_dir=run_dir,
        class_weights_kept=transfer is not None and transfer.class_weights == "kept",
        max_batches=source.max_batches,
        facts=_facts(state, data, run_dir, progress, transfer, count_steps(config, len(batches), source.max_batches)),
    )


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


def _find_run(config: Config, resume: str) -> tuple[Path | None, Path]:
    """Return the checkpoint that a run goes on from, if any, and its folder."""
    point = find_resume_point(resume, config.logging)
    return point, point.parent if point else _new_run_dir(config, begins_anew=resume == "auto")


def build_batches(config: Config, data: TrainingData, ranks: Ranks) -> RankBatches:
    """Return which crops make which batch.

    Raises:
        ConfigError: If an epoch does not fill one.
    """
    sampler = build_sampler(data.train.classes_of(_n_passes(config)), config.data, seed=config.seed)
    batches = RankBatches(sampler, batch_size=config.training.batch, rank=ranks.number, n_ranks=ranks.size)
    if not len(batches):
        raise ConfigError(
            f"an epoch of {len(sampler)} crops does not fill a batch of {batches.crops_of_all}",
            "training.batch_size",
            "Lower it, or raise features.crops_per_utterance."
            if config.trains_head_alone
            else "Lower it, or raise data.crops_per_epoch.",
        )
    return batches


def count_steps(config: Config, n_batches: int, max_batches: int | None) -> int:
    """Return the optimiser steps of an epoch."""
    return math.ceil(min(n_batches, max_batches or n_batches) / config.training.accumulation_steps)


def _n_passes(config: Config) -> int:
    """Return how many crops of each utterance and speed an epoch can choose from, each by an index of its own."""
    return config.features.crops_per_utterance if config.trains_head_alone else 1


def _base(
    config: Config, start: StartingPoint, origin: ModelFile | None, resume_point: Path | None, cache_dir: Path
) -> BaseCard | None:
    """Return what the run's models come from, for their cards."""
    if start.loaded is None:
        return None
    if resume_point:
        return resumed_base(config, start.loaded, resume_point)
    return describe_base(origin, start.loaded, cache_dir=cache_dir) if origin else None


def _build_state(
    config: Config,
    data: TrainingData,
    start: StartingPoint,
    base: BaseCard | None,
    *,
    fabric: Fabric,
    ranks: Ranks,
    run_name: str,
) -> RunState:
    model = config.model
    criterion = build_loss(
        config.loss,
        dims=model.dims_in_loss,
        weights=model.weights,
        n_speakers=data.train.n_classes,
        distillation_weight=config.distillation_weight,
        seed=config.seed,
        gather_rows=None if ranks.size == 1 else ranks.gather_rows,
    )
    module: TrainedModule
    if config.trains_head_alone:
        module = head_module = HeadModule(start.encoder, criterion, trained=config.head.trained)
        optimiser = build_head_optimiser(config, head_module)
    else:
        module = build_network_module(config, start.encoder, criterion)
        build_sync_batchnorm(config.hardware, start.encoder, device=fabric.device, n_processes=ranks.size)
        build_acceleration(config.hardware, start.encoder, fabric.device)
        optimiser = build_optimiser(config, start.encoder, criterion)
    return RunState(
        module=module,
        optimiser=optimiser,
        fabric=fabric,
        ranks=ranks,
        architecture=start.architecture,
        config=config,
        corpus={"training": data.train.fingerprint, "validation": data.validation_trials.sha256},
        card=begin_card(config, data, start, run_name=run_name, base=base),
    )


def _carry_over(state: RunState, data: TrainingData, start: StartingPoint, origin: ModelFile) -> Transfer | None:
    """Take the class weights of the model to start from, where they fit; return what came of all of it."""
    if start.loaded is None:
        return None
    head = state.config.head
    same_head = head.start == "pretrained" and wanted_rotation(head, start.loaded) == "none"
    weights = take_class_weights(
        state.module.criterion, start.loaded, fingerprint=data.train.fingerprint, same_head=same_head
    )
    embed_dim = start.encoder.embed_dim
    if start.head_rows_kept < embed_dim:
        log.warning(
            "the model to start from has %d values: %d more begin untrained",
            start.head_rows_kept,
            embed_dim - start.head_rows_kept,
        )
    return report_transfer(origin.typed, start.loaded, weights, rows_kept=start.head_rows_kept, embed_dim=embed_dim)


def _set_up_torch(config: Config) -> None:
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(config.deterministic)
    set_tf32(allowed=config.hardware.tf32)
    torch.set_flush_denormal(True)  # denormal weights make a CPU many times slower


def _new_run_dir(config: Config, *, begins_anew: bool) -> Path:
    """Return the folder of a run that begins; ``begins_anew``: also where one of its name ended before an epoch did."""
    name = config.logging.run_name or datetime.now().strftime("%Y%m%d-%H%M%S")
    run_dir = config.logging.save_dir / name
    found = {path.name for path in run_dir.glob("*.pt")}
    if begins_anew and found and found <= set(UNTRAINED):
        log.warning("%s: the run was stopped before its first step, and begins anew", run_dir)
    elif found:
        raise MrlspkError(
            "a run of this name exists", run_dir, "Choose another logging.run_name, or go on with --resume."
        )
    return run_dir


def _check_test_speakers(config: Config, data: TrainingData) -> None:
    """Refuse test lists and folders whose speakers are trained or validated on."""
    heard = {*data.train.speakers, *data.validation.speakers}
    for trial_list in config.evaluation.trials:
        check_disjoint(heard, read_trials(trial_list.path).speakers, where=str(trial_list.path))
    for folder in config.evaluation.test_datasets.values():
        check_disjoint(heard, scan_corpus(folder).speakers, where=str(folder))


def _facts(
    state: RunState, data: TrainingData, run_dir: Path, progress: Progress, transfer: Transfer | None, steps: int
) -> RunFacts:
    config, module = state.config, state.module
    n_stored = len(data.train) * _n_passes(config) if config.trains_head_alone else None
    n_features = module.encoder.head.linear.in_features
    return RunFacts(
        run_dir=str(run_dir),
        config=config.model_dump(mode="json"),
        n_speakers=len(data.train.speakers),
        n_utterances=len(data.train) // len(data.train.speeds),
        n_classes=data.train.n_classes,
        n_validation_speakers=len(data.validation.speakers),
        n_validation_trials=len(data.validation_trials),
        trained_parameters=count_parameters(module, trained=True),
        frozen_parameters=count_parameters(module, trained=False),
        steps_per_epoch=steps,
        num_epochs=config.training.num_epochs,
        first_epoch=progress.epoch + 1,
        first_step=progress.step,
        resumes=progress != Progress(),
        n_processes=state.ranks.size,
        effective_batch=effective_batch(config, state.ranks),
        parameters=count_by_part(module),
        transfer=transfer,
        n_stored=n_stored,
        stored_bytes=None if n_stored is None else store_bytes(n_stored, n_features, config.features.dtype),
    )
