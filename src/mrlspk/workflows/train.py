"""Train an encoder as a configuration says."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from mrlspk.config import Config, dump_config
from mrlspk.data.build import TrainingData, build_train_loader, build_training_data, check_disjoint
from mrlspk.data.manifest import scan_corpus, speaker_of
from mrlspk.data.trials import read_trials, write_trials
from mrlspk.errors import ConfigError, MrlspkError
from mrlspk.evaluation.sources import VALIDATION_TRIALS
from mrlspk.files import whole_file
from mrlspk.losses.build import build_loss
from mrlspk.models.checkpoint import read_checkpoint
from mrlspk.training.checkpoint import BEST, LAST, Progress, RunState, find_resume_point
from mrlspk.training.fit import Run, count_steps, fit, is_frozen, wrap
from mrlspk.training.modules import TrainedModule, count_parameters, set_training_mode
from mrlspk.training.optimiser import build_learning_rate, build_optimiser
from mrlspk.training.records import Observer, RunFacts
from mrlspk.training.run_log import build_run_log
from mrlspk.training.start import StartingPoint, build_fabric, build_start, origin_checkpoint
from mrlspk.training.validation import Validator

log = logging.getLogger("mrlspk.training")


@dataclass(frozen=True)
class TrainReport:
    """A run that has ended; ``best`` is the EER by width of the best checkpoint."""

    run_dir: Path
    best_checkpoint: Path
    last_checkpoint: Path
    epochs: int
    best_epoch: int
    best: dict[int, float]


@dataclass(frozen=True)
class Prepared:
    """A run that could start: its parts are built, nothing is written."""

    run: Run
    data: TrainingData
    facts: RunFacts
    progress: Progress = field(default_factory=Progress)


def train(
    config: Config,
    *,
    cache_dir: Path,
    mirror: str | None = None,
    resume: str = "never",
    max_batches: int | None = None,
    observers: Sequence[Observer] = (),
) -> TrainReport:
    """Train, validate and save; see `prepare` for the arguments and errors.

    Args:
        config: The whole configuration.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        resume: ``never``, ``auto`` or the path of a run or checkpoint.
        max_batches: End each epoch after so many batches.
        observers: Watch the run, beside the logs that the configuration asks for.
    """
    prepared = prepare(config, cache_dir=cache_dir, mirror=mirror, resume=resume, max_batches=max_batches)
    run, data = prepared.run, prepared.data
    run.run_dir.mkdir(parents=True, exist_ok=True)
    with whole_file(run.run_dir / "config.yaml") as partial:
        partial.write_text(dump_config(config), encoding="utf-8")
    write_trials(data.validation_trials, run.run_dir / VALIDATION_TRIALS)
    watching = [*build_run_log(config.logging, run.run_dir), *observers]
    try:
        for observer in watching:
            observer.run_started(prepared.facts)
        progress = fit(run, prepared.progress, watching)
    finally:
        for observer in watching:
            observer.run_ended()
    validation = read_checkpoint(run.run_dir / BEST)["validation"]
    return TrainReport(
        run_dir=run.run_dir,
        best_checkpoint=run.run_dir / BEST,
        last_checkpoint=run.run_dir / LAST,
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        best=validation["eer"],
    )


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
        ConfigError: If a resumed run had another configuration, or the batch is larger than the epoch.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    resume_point = find_resume_point(resume, config.logging.save_dir)
    run_dir = resume_point.parent if resume_point else _new_run_dir(config)
    data = build_training_data(config.data, seed=config.seed)
    _check_test_speakers(config, data)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(config.deterministic)
    torch.set_flush_denormal(True)  # denormal weights make a CPU many times slower
    fabric = build_fabric(config.hardware)
    start = build_start(config, resume_point or origin_checkpoint(config, cache_dir=cache_dir, mirror=mirror))
    criterion = build_loss(
        config.loss, dims=config.model.matryoshka_dims, weights=config.model.weights, n_speakers=data.train.n_classes
    )
    module = TrainedModule(start.encoder, criterion)
    state = RunState(module, build_optimiser(config, start.encoder, criterion), start.architecture, config)
    wrapped, optimiser = wrap(fabric, module, state.optimiser)
    progress = state.restore(resume_point) if resume_point else Progress()
    set_training_mode(start.encoder, backbone_frozen=is_frozen(config, progress.epoch))
    loader = build_train_loader(data, config.data, batch_size=config.training.batch_size, drop_last=True)
    if not len(loader):
        raise ConfigError(
            f"an epoch of {len(data.sampler)} crops does not fill a batch of {config.training.batch_size}",
            "training.batch_size",
            "Lower it, or raise data.crops_per_epoch.",
        )
    steps_per_epoch = count_steps(len(loader), config, max_batches)
    run = Run(
        fabric=fabric,
        module=wrapped,
        optimiser=optimiser,
        state=state,
        loader=loader,
        sampler=data.sampler,
        learning_rate=build_learning_rate(config, steps_per_epoch=steps_per_epoch),
        validator=_build_validator(config, data),
        run_dir=run_dir,
        config=config,
        max_batches=max_batches,
    )
    return Prepared(run, data, _facts(run, data, start, progress), progress)


def resumed_config(resume: str, asked: Config, *, explicit: bool) -> Config:
    """Return the configuration to train with: that of the run that is resumed, if one is.

    Args:
        resume: ``never``, ``auto`` or a path.
        asked: The configuration from files, variables and flags.
        explicit: Whether the user gave a file or an override, which must then agree with the run.

    Raises:
        ConfigError: If it does not; the keys that differ are named.
    """
    point = find_resume_point(resume, asked.logging.save_dir)
    if point is None:
        return asked
    saved = Config.model_validate(read_checkpoint(point)["config"])
    changed = _differences(saved.model_dump(mode="json"), asked.model_dump(mode="json"))
    if explicit and changed:
        raise ConfigError(
            f"the run was begun with another configuration: {'; '.join(changed)}",
            point.parent,
            "Resume without --config and --set, or begin a new run.",
        )
    return saved


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in old.items():
        other = new.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            found += _differences(value, other, f"{prefix}{key}.")
        elif value != other:
            found.append(f"{prefix}{key} was {value}, now {other}")
    return found


def _new_run_dir(config: Config) -> Path:
    name = config.logging.run_name or datetime.now().strftime("%Y%m%d-%H%M%S")
    run_dir = config.logging.save_dir / name
    if run_dir.exists():
        raise MrlspkError(
            "a run of this name exists", run_dir, "Choose another logging.run_name, or go on with --resume."
        )
    return run_dir


def _check_test_speakers(config: Config, data: TrainingData) -> None:
    """Refuse test lists and folders whose speakers are trained or validated on."""
    heard = {*data.train.speakers, *data.validation.speakers}
    for trial_list in config.evaluation.trials:
        tested = {speaker_of(utterance_id) for utterance_id in read_trials(trial_list.path).utterance_ids}
        check_disjoint(heard, tested, where=str(trial_list.path))
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


def _facts(run: Run, data: TrainingData, start: StartingPoint, progress: Progress) -> RunFacts:
    if 0 < start.head_rows_kept < start.encoder.embed_dim:
        log.warning(
            "the model that training starts from has %d values: the head's other %d begin at random",
            start.head_rows_kept,
            start.encoder.embed_dim - start.head_rows_kept,
        )
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
    )
