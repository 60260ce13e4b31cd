"""Prepare the state of a run from its plan: build it, load weights or resume; write nothing."""

import logging
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.data.build import place_augmentation
from mrlspk.distributed import Ranks, raising_on_all_ranks
from mrlspk.inference.external_base import as_loaded, open_base
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.provenance import describe_base, resumed_base
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.losses.build import build_loss
from mrlspk.models.checkpoints import LoadedModel
from mrlspk.models.checkpoints.model_card import BaseCard
from mrlspk.models.external_encoder import identity_head
from mrlspk.models.headed_model import HeadedModel
from mrlspk.models.sync_batchnorm import build_sync_batchnorm
from mrlspk.training.card_files import begin_card
from mrlspk.training.checkpoints.averaging import with_best_of
from mrlspk.training.checkpoints.restore import restore
from mrlspk.training.checkpoints.resume_point import (
    ResumePoint,
    check_best_is_there,
    check_nothing_lost,
    read_resume_point,
)
from mrlspk.training.checkpoints.run_folder import BEST, TRAINED
from mrlspk.training.hardware import build_acceleration, set_tf32, warn_of_idle_keys
from mrlspk.training.head.module import HeadModule, build_head_optimiser
from mrlspk.training.network.module import build_network_module
from mrlspk.training.optimiser import build_optimiser
from mrlspk.training.plan import RunPlan, build_batches
from mrlspk.training.records import WarmStart
from mrlspk.training.start_model import with_base_in_run
from mrlspk.training.state import RunState
from mrlspk.training.step import wrap
from mrlspk.training.trained_module import TrainedModule, is_frozen
from mrlspk.training.vector_corpus import VectorData
from mrlspk.training.warm_start import (
    build_encoder_from,
    find_base_model,
    report_warm_start,
    take_class_weights,
    wanted_rotation,
)

log = logging.getLogger("mrlspk.training")


def prepare(plan: RunPlan, fabric: Fabric, ranks: Ranks, *, resumed: ResumePoint | None = None) -> RunState:
    """Build everything of a run that needs no audio; load the model that it starts from, or resume it.

    Args:
        plan: Of the run.
        fabric: Launched, unless nothing is to be trained.
        ranks: The processes of the run.
        resumed: The checkpoint of ``plan.resume_path``, if it was read before: it is not read again.

    Raises:
        ConfigError: If the batch is larger than the epoch, or the parts of the model do not fit together.
        CheckpointError: If the model to start from is not whole, or the run cannot be resumed.
        DownloadError: If a published model cannot be fetched.
    """
    config, point = plan.config, None
    with raising_on_all_ranks(ranks):  # if one machine lacks a file, no process waits for it
        _set_up_torch(config)
        if plan.resume_path:  # another process may have written a new one before this one got the lock
            point = read_resume_point(plan.resume_path, known=resumed)
        loaded, origin = _load(plan, point)
        encoder, architecture = build_encoder_from(config, loaded)
        card = begin_card(plan, encoder, architecture, base=_base(plan, loaded, origin))
        module, optimiser = build_trained(plan, encoder, fabric, ranks)
    module.set_mode(backbone_frozen=is_frozen(config, config.training.epochs - 1))  # DDP sees all that ever trains
    state = RunState(
        plan=plan,
        fabric=fabric,
        ranks=ranks,
        module=module,
        optimiser=optimiser,
        wrapped=wrap(fabric, module, optimiser),
        batches=build_batches(config, plan.data, ranks),
        architecture=architecture,
        card=card,
        loaded=None if point or loaded is None else replace(loaded, contents={}),  # its tensors need not stay in memory
    )
    if point:
        _resume(state, point)
    module.set_mode(backbone_frozen=is_frozen(config, state.progress.epoch))
    if origin and loaded:
        state.warm_start = _take_over(state, loaded, origin)
    return state


def _load(plan: RunPlan, point: ResumePoint | None) -> tuple[LoadedModel | None, ModelFile | None]:
    """Return the model to resume or start from, and the file of the latter; None from random weights."""
    if point:
        loaded = point.model()
        if not isinstance(plan.data, VectorData):
            open_base(loaded, point.path)
        return loaded, None
    if start := plan.start:
        return with_base_in_run(start.loaded), start.file
    if isinstance(plan.data, VectorData):
        vectors = plan.data.vectors
        return as_loaded(
            identity_head(vectors.dim), (vectors.dim,), base=None, fingerprint=vectors.origin.fingerprint
        ), None
    origin = find_base_model(plan.config, cache_dir=plan.cache_dir, mirror=plan.mirror)
    return load_checkpoint(origin) if origin else None, origin


def _set_up_torch(config: Config) -> None:
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(config.deterministic)
    set_tf32(allowed=config.hardware.tf32)
    torch.set_flush_denormal(True)  # denormal weights make a CPU many times slower


def _base(plan: RunPlan, loaded: LoadedModel | None, origin: ModelFile | None) -> BaseCard | None:
    """Return the base model of the run, for provenance and model cards."""
    if loaded is None:
        return None
    if plan.resume_path:
        return resumed_base(plan.config, loaded, plan.resume_path)
    return describe_base(origin, loaded, cache_dir=plan.cache_dir) if origin else None


def build_trained(plan: RunPlan, encoder: HeadedModel, fabric: Fabric, ranks: Ranks) -> tuple[TrainedModule, Optimizer]:
    """Return encoder and loss as one module, and its optimiser."""
    config = plan.config
    criterion = build_loss(
        config.loss,
        dims=config.model.dims_in_loss,
        weights=config.model.weights,
        n_speakers=plan.data.train.n_classes,
        distillation_weight=config.distillation_weight,
        seed=config.seed,
        gather_rows=None if ranks.world_size == 1 else ranks.all_gather_rows,
    )
    if config.trains_head_alone:
        head_module = HeadModule(encoder, criterion, trained=config.head.trained)
        optimiser = build_head_optimiser(config, head_module)
        warn_of_idle_keys(config.hardware)
        return head_module, optimiser
    module = build_network_module(config, encoder, criterion)
    module.augmentation = place_augmentation(plan.data.train, config.data, fabric.device)
    build_sync_batchnorm(config.hardware, encoder, device=fabric.device, n_processes=ranks.world_size)
    build_acceleration(config.hardware, module.encoder, fabric.device)
    return module, build_optimiser(config, module.encoder, criterion)


def _resume(state: RunState, point: ResumePoint) -> None:
    """Load a checkpoint of the run itself into its state."""
    with raising_on_all_ranks(state.ranks):
        restore(state, point)
        check_nothing_lost(point)
        best = point.path.with_name(TRAINED if state.config.trains_head_alone else BEST)
        check_best_is_there(best, state.progress.best_epoch)
        if state.config.training.average_last and state.progress.best_epoch:
            state.progress = with_best_of(state.progress, best)


def _take_over(state: RunState, loaded: LoadedModel, origin: ModelFile) -> WarmStart:
    """Take the classifier weights of the model to start from if they fit; report all that was taken over."""
    head, embed_dim = state.config.head, state.module.encoder.embed_dim
    same_head = head.start == "pretrained" and wanted_rotation(head, loaded) == "none"
    weights = take_class_weights(
        state.module.criterion, loaded, fingerprint=state.plan.data.train.fingerprint, same_head=same_head
    )
    report = report_warm_start(origin.typed, loaded, weights, embed_dim=embed_dim)
    if report.head_rows_random:
        widened = head.start == "pretrained" and (state.config.trains_head_alone or not same_head)
        log.warning(
            "values %d–%d of the embedding are initialised from %s",
            report.head_rows_kept + 1,
            embed_dim,
            "principal directions of the training speech" if widened else "random weights",
        )
    return report
