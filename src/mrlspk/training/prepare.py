"""A run put together from its configuration, before anything is written or computed."""

import logging
import math
from pathlib import Path

import torch
from lightning_fabric import Fabric

from mrlspk.config import Config
from mrlspk.data.batches import RankBatches
from mrlspk.data.build import TrainingData, build_sampler, build_training_data, check_disjoint
from mrlspk.data.corpora.recipes import scan_corpus
from mrlspk.data.trials import read_trials
from mrlspk.distributed import Ranks, failing_together
from mrlspk.errors import ConfigError
from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import ModelFile
from mrlspk.inference.provenance import describe_base, resumed_base
from mrlspk.losses.build import build_loss
from mrlspk.models.checkpoints.model_card import BaseCard
from mrlspk.models.sync_batchnorm import build_sync_batchnorm
from mrlspk.training.acceleration import build_acceleration, set_tf32, warn_of_idle_keys
from mrlspk.training.cards.begin import begin_card
from mrlspk.training.checkpoints.averaging import with_best_of
from mrlspk.training.checkpoints.checkpoint import BEST, TRAINED, RunState
from mrlspk.training.checkpoints.restore import restore
from mrlspk.training.checkpoints.resume import (
    ResumePoint,
    check_best_is_there,
    check_nothing_lost,
    read_resume_point,
)
from mrlspk.training.checkpoints.run_folder import RunFolder
from mrlspk.training.head.module import HeadModule
from mrlspk.training.head.optimiser import build_head_optimiser
from mrlspk.training.modules import TrainedModule, is_frozen
from mrlspk.training.network.module import build_network_module
from mrlspk.training.optimiser import build_optimiser
from mrlspk.training.prepared import Prepared, Source
from mrlspk.training.records import Progress, WarmStart
from mrlspk.training.run_facts import describe_run, n_passes
from mrlspk.training.start import StartingPoint, build_start, origin_checkpoint, wanted_rotation
from mrlspk.training.step import wrap
from mrlspk.training.warm_start import report_warm_start, take_class_weights

log = logging.getLogger("mrlspk.training")


def prepare(
    config: Config,
    fabric: Fabric,
    ranks: Ranks,
    *,
    source: Source,
    folder: RunFolder,
    resumed: ResumePoint | None = None,
) -> Prepared:
    """Build all parts of a run that need no audio, without writing anything.

    Args:
        config: Resolved.
        fabric: Launched, unless nothing is to be trained.
        ranks: Its processes.
        source: Where the run comes from.
        folder: Where it is written.
        resumed: The checkpoint that ``folder`` names, if that was read: it is not read again.

    Raises:
        ConfigError: If the batch is larger than the epoch, or the parts of the model do not fit together.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    run_dir, point = folder.path, None
    with failing_together(ranks):  # a machine that lacks a file lets nobody wait
        data = build_training_data(config.data, seed=config.seed)
        _check_test_speakers(config, data)
        _set_up_torch(config)
        if folder.resume_point:  # whoever had the lock until now may have written another one
            point = read_resume_point(folder.resume_point, known=resumed)
        origin = None if point else origin_checkpoint(config, cache_dir=source.cache_dir, mirror=source.mirror)
        loaded = point.model() if point else load_located(origin) if origin else None
        start = build_start(config, loaded)
        base = _base(config, start, origin, point, source.cache_dir)
        state = _build_state(config, data, start, base, fabric=fabric, ranks=ranks, run_name=run_dir.name)
    state.module.set_mode(backbone_frozen=is_frozen(config, config.training.num_epochs - 1))  # all that is ever trained
    wrapped = wrap(fabric, state.module, state.optimiser)
    progress = _go_on(state, point, data, source) if point else Progress()
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
        resumes=point is not None,
        run_dir=run_dir,
        class_weights_kept=transfer is not None and transfer.class_weights == "kept",
        max_batches=source.max_batches,
        facts=describe_run(
            state,
            data,
            progress,
            run_dir=run_dir,
            resumes=point is not None,
            transfer=transfer,
            steps_per_epoch=count_steps(config, len(batches), source.max_batches),
        ),
    )


def _go_on(state: RunState, point: ResumePoint, data: TrainingData, source: Source) -> Progress:
    """Bring a run back to a checkpoint of its own; return its progress."""
    with failing_together(state.ranks):
        ids = data.train.utterance_ids
        progress = restore(state, point, utterance_ids=ids, allow_changes=source.allow_changes)
        check_nothing_lost(point)
        best = point.path.with_name(TRAINED if state.config.trains_head_alone else BEST)
        check_best_is_there(best, progress.best_epoch)
        if state.config.training.average_last and progress.best_epoch:
            progress = with_best_of(progress, best)
    return progress


def build_batches(config: Config, data: TrainingData, ranks: Ranks) -> RankBatches:
    """Return which crops make which batch.

    Raises:
        ConfigError: If an epoch does not fill one.
    """
    sampler = build_sampler(data.train.classes_of(n_passes(config)), config.data, seed=config.seed)
    batches = RankBatches(sampler, batch_size=config.training.batch, rank=ranks.rank, n_ranks=ranks.world_size)
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


def _base(
    config: Config, start: StartingPoint, origin: ModelFile | None, point: ResumePoint | None, cache_dir: Path
) -> BaseCard | None:
    """Return what the run's models come from, for their cards."""
    if start.loaded is None:
        return None
    if point:
        return resumed_base(config, start.loaded, point.path)
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
        gather_rows=None if ranks.world_size == 1 else ranks.all_gather_rows,
    )
    module: TrainedModule
    if config.trains_head_alone:
        module = head_module = HeadModule(start.encoder, criterion, trained=config.head.trained)
        optimiser = build_head_optimiser(config, head_module)
        warn_of_idle_keys(config.hardware)
    else:
        module = build_network_module(config, start.encoder, criterion)
        build_sync_batchnorm(config.hardware, start.encoder, device=fabric.device, n_processes=ranks.world_size)
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


def _carry_over(state: RunState, data: TrainingData, start: StartingPoint, origin: ModelFile) -> WarmStart | None:
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
    return report_warm_start(origin.typed, start.loaded, weights, rows_kept=start.head_rows_kept, embed_dim=embed_dim)


def _set_up_torch(config: Config) -> None:
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(config.deterministic)
    set_tf32(allowed=config.hardware.tf32)
    torch.set_flush_denormal(True)  # denormal weights make a CPU many times slower


def _check_test_speakers(config: Config, data: TrainingData) -> None:
    """Refuse test lists and folders whose speakers are trained or validated on."""
    heard = {*data.train.speakers, *data.validation.speakers}
    for trial_list in config.evaluation.trials:
        check_disjoint(heard, read_trials(trial_list.path).possible_speakers, where=str(trial_list.path))
    for folder in config.evaluation.test_datasets.values():
        check_disjoint(heard, scan_corpus(folder).speakers, where=str(folder))
