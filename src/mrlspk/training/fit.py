"""The fit loop: epochs of steps, each epoch validated and saved."""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import batched, islice
from pathlib import Path
from typing import Any, Protocol

from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.data.worker_errors import plain_errors
from mrlspk.errors import MrlspkError
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.random_classes import random_start_loss
from mrlspk.losses.schedule import margin_at
from mrlspk.training.checkpoint import BEST, Progress, RunState, save_epoch
from mrlspk.training.modules import TrainedModule
from mrlspk.training.optimiser import LearningRate
from mrlspk.training.records import EpochRecord, Observer, StepRecord
from mrlspk.training.validation import ValidationResult, Validator

log = logging.getLogger("mrlspk.training")

ENOUGH_STEPS = 50  # in an epoch, for its mean loss to tell whether class weights learn
UNTRAINED_CLASSES = 0.95  # share of the loss of random class weights above which they have learnt nothing

type Batch = tuple[Tensor, ...]


class Batches(Protocol):
    """Batches of an epoch: inputs (batch, …), speaker indices (batch,), and what else the module takes."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Batch]:
        """Yield them."""


@dataclass(frozen=True)
class Run:
    """What a run works with: module and optimiser as Fabric wraps them, and bare in ``state``.

    The loader is bare: as Fabric wraps it, it would count epochs by itself, from 0 after a resume too.

    ``full_width_limit`` is an equal error rate: an epoch whose full width is above it becomes the best only where none
    is below; None for no limit. ``best_name`` is the file that the best epoch is written to.
    """

    fabric: Fabric
    module: Any
    optimiser: Any
    state: RunState
    loader: Batches
    sampler: Any
    learning_rate: LearningRate
    validator: Validator
    run_dir: Path
    config: Config
    max_batches: int | None
    full_width_limit: float | None = None
    best_name: str = BEST


def fit(run: Run, progress: Progress, observers: Sequence[Observer]) -> Progress:
    """Train from ``progress`` to the last epoch; return how far it came.

    Raises:
        MrlspkError: If the loss is no longer a finite number.
        DataError: If an audio file cannot be read.
    """
    config, module = run.config, run.state.module
    while progress.epoch < config.training.num_epochs:
        started = time.monotonic()
        module.set_mode(backbone_frozen=is_frozen(config, progress.epoch))
        run.sampler.set_epoch(progress.epoch)
        losses, without_teacher, margins = list[float](), list[float](), list[float]()
        for record in _steps(run, progress.epoch, progress.step):
            losses.append(record.loss)
            without_teacher.append(module.criterion.mean(record.loss_by_dim))
            margins.append(record.margin)
            progress = replace(progress, step=record.step)
            for observer in observers:
                observer.step_done(record)
        train_loss = math.fsum(losses) / len(losses)
        if len(losses) >= ENOUGH_STEPS:
            class_loss, margin = (math.fsum(values) / len(values) for values in (without_teacher, margins))
            _warn_of_untrained_classes(run, progress.epoch, class_loss, margin=margin)
        validation = run.validator.validate(module.current_encoder())
        progress, is_best = note_best(run, replace(progress, epoch=progress.epoch + 1), validation)
        if is_best:
            module.save_beside_best(run.run_dir, run.state.architecture)
        save_epoch(
            run.run_dir,
            run.state.entries(progress, validation),
            best_name=run.best_name if is_best else None,
            keep=progress.epoch % config.logging.save_interval == 0,
            keep_last_n=config.logging.keep_last_n,
        )
        seconds = time.monotonic() - started
        for observer in observers:
            observer.epoch_done(EpochRecord(progress.epoch, progress.step, train_loss, validation, is_best, seconds))
    return progress


def note_best(run: Run, progress: Progress, validation: ValidationResult) -> tuple[Progress, bool]:
    """Return the progress with these figures of its epoch as the best, where they are, and whether they are."""
    value, limit = best_value(run.config, validation), run.full_width_limit
    within = limit is None or validation.eer[run.config.model.embed_dim] <= limit
    before = (not progress.best_within_limit, progress.best_value)
    is_best = not progress.best_epoch or (not within, value) < before
    if is_best:
        progress = replace(progress, best_value=value, best_epoch=progress.epoch, best_within_limit=within)
    return progress, is_best


def is_frozen(config: Config, epoch: int) -> bool:
    """Return whether only the head is trained in ``epoch``, counted from 0."""
    frozen_epochs = config.training.freeze_backbone_epochs
    return frozen_epochs is None or epoch < frozen_epochs


def best_value(config: Config, validation: ValidationResult) -> float:
    """Return what the best checkpoint has least of."""
    best_by = config.evaluation.best_by
    if isinstance(best_by, int):
        return validation.eer[best_by]
    return validation.loss if best_by == "loss" else validation.mean_log_eer


def count_steps(n_batches: int, config: Config, max_batches: int | None) -> int:
    """Return the optimiser steps of an epoch."""
    return math.ceil(min(n_batches, max_batches or n_batches) / config.training.accumulation_steps)


def _steps(run: Run, epoch: int, step: int) -> Iterator[StepRecord]:
    """Run the optimiser steps of an epoch; ``step`` have been done before."""
    training = run.config.training
    batches: Iterable[Batch] = plain_errors(islice(run.loader, run.max_batches))
    steps_per_epoch = count_steps(len(run.loader), run.config, run.max_batches)
    ended = time.monotonic()
    for number, group in enumerate(batched(batches, training.accumulation_steps)):
        margin = _set_margin(run, epoch + number / steps_per_epoch)
        rate = run.learning_rate.apply(run.optimiser, step + number)
        loss, loss_by_dim, norm = take_step(
            run.fabric, run.module, run.optimiser, group, max_grad_norm=training.max_grad_norm
        )
        if not math.isfinite(loss):
            raise MrlspkError(
                f"the loss is {loss} at step {step + number + 1} of epoch {epoch + 1}",
                run.run_dir,
                "Lower training.learning_rate or set hardware.precision=fp32; checkpoints of earlier epochs are whole.",
            )
        crops = sum(len(batch[1]) for batch in group)
        started, ended = ended, time.monotonic()
        speed = crops / (ended - started)  # waiting for the batch included
        yield StepRecord(epoch + 1, step + number + 1, loss, loss_by_dim, rate, margin, norm, speed)


def take_step(
    fabric: Fabric, module: Any, optimiser: Any, group: Sequence[Batch], *, max_grad_norm: float | None
) -> tuple[float, dict[int, float], float]:
    """Do one optimiser step on the mean gradient of ``group``; return its loss, that of each width, and the norm.

    Args:
        fabric: Whose precision and device hold.
        module: A `TrainedModule`, as Fabric wraps it.
        optimiser: As Fabric wraps it.
        group: Batches of what the module takes; the loss is divided by their number.
        max_grad_norm: Clip to it; None for no clipping.
    """
    optimiser.zero_grad(set_to_none=True)
    total, by_dim = 0.0, dict[int, list[float]]()
    for number, batch in enumerate(group, start=1):
        with fabric.no_backward_sync(module, enabled=number < len(group)):
            value = module(*fabric.to_device(batch))
            fabric.backward(value.total / len(group))
        total += value.total.item() / len(group)
        for dim, loss in value.by_dim.items():
            by_dim.setdefault(dim, []).append(loss.item())
    norm = fabric.clip_gradients(module, optimiser, max_norm=max_grad_norm or math.inf, error_if_nonfinite=False)
    optimiser.step()
    means = {dim: math.fsum(losses) / len(losses) for dim, losses in sorted(by_dim.items())}
    return total, means, float(norm) if norm is not None else math.nan


def _set_margin(run: Run, epoch: float) -> float:
    """Give the loss its margin at a moment of the run; return it (0 for triplets, whose margin is fixed)."""
    loss, config = run.state.module.criterion.loss, run.config.loss
    if not isinstance(loss, AAMSoftmax):
        return 0.0
    start, full = config.margin_start_epoch, config.margin_full_epoch
    loss.margin = margin_at(
        epoch, start_epoch=start, full_epoch=full, margin=config.margin, start_margin=config.margin_start
    )
    return loss.margin


def _warn_of_untrained_classes(run: Run, epoch: int, train_loss: float, *, margin: float) -> None:
    """Say so where a whole epoch, of mean ``margin``, has left the loss where random class weights have it."""
    criterion = run.state.module.criterion
    if isinstance(criterion.loss, AAMSoftmax):
        criterion.loss.margin = margin
    random_loss = random_start_loss(criterion)
    if random_loss is not None and train_loss > UNTRAINED_CLASSES * random_loss:
        log.warning(
            "epoch %d: the mean loss %.2f is what random class weights give (%.2f): they are not being trained, "
            "or training.learning_rate is far too low",
            epoch + 1,
            train_loss,
            random_loss,
        )


def wrap(fabric: Fabric, module: TrainedModule, optimiser: Optimizer) -> tuple[Any, Any]:
    """Return module and optimiser as Fabric wraps them; the first call puts the module on the device."""
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    return wrapped, wrapped_optimiser
