"""A run put together from its configuration, before anything is written."""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from mrlspk.config import Config
from mrlspk.data.build import TrainingData, build_train_loader, build_training_data, check_disjoint
from mrlspk.data.manifest import scan_corpus
from mrlspk.data.trials import read_trials
from mrlspk.encoding.locate import ModelFile
from mrlspk.errors import ConfigError, MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.training.checkpoint import Progress, RunState
from mrlspk.training.fit import Run, count_steps, is_frozen, wrap
from mrlspk.training.model_card import BaseCard
from mrlspk.training.modules import TrainedModule, count_parameters, set_training_mode
from mrlspk.training.optimiser import build_learning_rate, build_optimiser
from mrlspk.training.origin import begin_card, describe_base, resumed_base
from mrlspk.training.records import RunFacts
from mrlspk.training.resume import check_nothing_lost, find_resume_point
from mrlspk.training.start import StartingPoint, build_fabric, build_start, origin_checkpoint
from mrlspk.training.transfer import Transfer, report_transfer, take_class_weights
from mrlspk.training.validation import Validator

log = logging.getLogger("mrlspk.training")


@dataclass(frozen=True)
class Prepared:
    """A run that could start, from ``progress``."""

    run: Run
    data: TrainingData
    facts: RunFacts
    progress: Progress


def prepare(
    config: Config,
    *,
    cache_dir: Path,
    mirror: str | None = None,
    resume: str = "never",
    max_batches: int | None = None,
) -> Prepared:
    """Build all parts of a run without writing anything.

    Raises:
        ConfigError: If the batch is larger than the epoch, or the parts of the model do not fit together.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    resume_point = find_resume_point(resume, config.logging)
    run_dir = resume_point.parent if resume_point else _new_run_dir(config)
    data = build_training_data(config.data, seed=config.seed)
    _check_test_speakers(config, data)
    _set_up_torch(config)
    origin = None if resume_point else origin_checkpoint(config, cache_dir=cache_dir, mirror=mirror)
    start = build_start(config, ModelFile(resume_point, str(resume_point)) if resume_point else origin)
    base = _base(config, start, origin, resume_point, cache_dir)
    run, progress = _build_run(
        config, data, start, base, run_dir=run_dir, resume_point=resume_point, max_batches=max_batches
    )
    transfer = _carry_over(run, data, start, origin) if origin else None
    return Prepared(run, data, _facts(run, data, progress, transfer), progress)


def _base(
    config: Config, start: StartingPoint, origin: ModelFile | None, resume_point: Path | None, cache_dir: Path
) -> BaseCard | None:
    """Return what the run's models come from, for their cards."""
    if start.loaded is None:
        return None
    if resume_point:
        return resumed_base(config, start.loaded, resume_point)
    return describe_base(origin, start.loaded, cache_dir=cache_dir) if origin else None


def _carry_over(run: Run, data: TrainingData, start: StartingPoint, origin: ModelFile) -> Transfer | None:
    """Take the class weights of the model to start from, where they fit; return what came of all of it."""
    if start.loaded is None:
        return None
    weights = take_class_weights(run.state.module.criterion, start.loaded, fingerprint=data.train.fingerprint)
    embed_dim = start.encoder.embed_dim
    if start.head_rows_kept < embed_dim:
        random_rows = embed_dim - start.head_rows_kept
        log.warning("the model to start from has %d values: %d more begin at random", start.head_rows_kept, random_rows)
    return report_transfer(origin.typed, start.loaded, weights, rows_kept=start.head_rows_kept, embed_dim=embed_dim)


def _build_run(
    config: Config,
    data: TrainingData,
    start: StartingPoint,
    base: BaseCard | None,
    *,
    run_dir: Path,
    resume_point: Path | None,
    max_batches: int | None,
) -> tuple[Run, Progress]:
    model, fabric = config.model, build_fabric(config.hardware)
    criterion = build_loss(
        config.loss, dims=model.matryoshka_dims, weights=model.weights, n_speakers=data.train.n_classes
    )
    module = TrainedModule(start.encoder, criterion)
    state = RunState(
        module=module,
        optimiser=build_optimiser(config, start.encoder, criterion),
        fabric=fabric,
        architecture=start.architecture,
        config=config,
        corpus={"training": data.train.fingerprint, "validation": data.validation_trials.sha256},
        card=begin_card(config, data, start, run_name=run_dir.name, base=base),
    )
    wrapped, optimiser = wrap(fabric, module, state.optimiser)
    progress = state.restore(resume_point) if resume_point else Progress()
    if resume_point:
        check_nothing_lost(resume_point)
    set_training_mode(start.encoder, backbone_frozen=is_frozen(config, progress.epoch))
    loader = build_train_loader(data, config.data, batch_size=config.training.batch_size, drop_last=True)
    if not len(loader):
        raise ConfigError(
            f"an epoch of {len(data.sampler)} crops does not fill a batch of {config.training.batch_size}",
            "training.batch_size",
            "Lower it, or raise data.crops_per_epoch.",
        )
    run = Run(
        fabric=fabric,
        module=wrapped,
        optimiser=optimiser,
        state=state,
        loader=loader,
        sampler=data.sampler,
        learning_rate=build_learning_rate(config, steps_per_epoch=count_steps(len(loader), config, max_batches)),
        validator=_build_validator(config, data),
        run_dir=run_dir,
        config=config,
        max_batches=max_batches,
    )
    return run, progress


def _set_up_torch(config: Config) -> None:
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(config.deterministic)
    torch.set_flush_denormal(True)  # denormal weights make a CPU many times slower


def _new_run_dir(config: Config) -> Path:
    name = config.logging.run_name or datetime.now().strftime("%Y%m%d-%H%M%S")
    run_dir = config.logging.save_dir / name
    if any(run_dir.glob("*.pt")):
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


def _build_validator(config: Config, data: TrainingData) -> Validator:
    return Validator(
        data.validation,
        data.validation_trials,
        dims=config.model.matryoshka_dims,
        weights=config.model.weights,
        scale=config.loss.scale,
        p_target=config.evaluation.p_target[0],
        batch_size=config.evaluation.batch_size,
        max_seconds=config.evaluation.max_seconds,
    )


def _facts(run: Run, data: TrainingData, progress: Progress, transfer: Transfer | None) -> RunFacts:
    module = run.state.module
    return RunFacts(
        run_dir=str(run.run_dir),
        config=run.config.model_dump(mode="json"),
        n_speakers=len(data.train.speakers),
        n_utterances=len(data.train) // len(data.train.speeds),
        n_classes=data.train.n_classes,
        n_validation_speakers=len(data.validation.speakers),
        n_validation_trials=len(data.validation_trials),
        trained_parameters=count_parameters(module, trained=True),
        frozen_parameters=count_parameters(module, trained=False),
        steps_per_epoch=count_steps(len(run.loader), run.config, run.max_batches),
        num_epochs=run.config.training.num_epochs,
        first_epoch=progress.epoch + 1,
        transfer=transfer,
    )
