"""The fit loop: epochs of steps, each epoch validated and saved; it can be left and taken up again at any step."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, islice
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.batches import RankBatches
from mrlspk.data.dataset import SampleKey
from mrlspk.distributed import Ranks, told_once
from mrlspk.errors import StoppedError
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.schedule import margin_at
from mrlspk.training.acceleration import fixed_shapes
from mrlspk.training.best import is_out_of_patience, note_best
from mrlspk.training.checkpoints.checkpoint import BEST, LAST, RunState
from mrlspk.training.checkpoints.progress import Progress
from mrlspk.training.checkpoints.random_state import seed_apart
from mrlspk.training.checkpoints.saving import Saver, build_saver
from mrlspk.training.class_weights_watch import warn_of_untrained_classes
from mrlspk.training.device_batches import DeviceBatches
from mrlspk.training.nonfinite import stop_at_nonfinite
from mrlspk.training.optimiser import LearningRate
from mrlspk.training.peak_memory import peak_memory_mib
from mrlspk.training.records import EpochRecord, Observer, StepRecord
from mrlspk.training.step import Batch, Stepper, StepResult
from mrlspk.training.stop_request import StopRequest, asked_signal, signal_name
from mrlspk.training.validation import Validator

log = logging.getLogger("mrlspk.training")


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


def fit(run: Run, progress: Progress, observers: Sequence[Observer]) -> Progress:
    """Train from ``progress`` to the last epoch; return how far it came.

    Args:
        run: What to train, and with what.
        progress: Where it begins, or goes on.
        observers: Watch it; none in any process but the first.

    Raises:
        StoppedError: If a signal asked for it, after all is saved.
        MrlspkError: If too many losses in a row were no finite number, or a checkpoint cannot be written.
        DataError: If an audio file cannot be read.
    """
    training = run.config.training
    run.stepper.n_parts = progress.n_parts
    saver = build_saver(run.config.logging, run.state, run.run_dir)
    with StopRequest() as stop:
        if progress == Progress():
            seed_apart(run.config.seed, run.ranks.rank)
            saver.save_within(progress)  # so that there is something to go on from at any moment
        while progress.epoch < training.num_epochs:
            if is_out_of_patience(progress, training.early_stopping_epochs):
                log.info(
                    "the run ends after epoch %d: no better one since epoch %d", progress.epoch, progress.best_epoch
                )
                break
            started = time.monotonic()
            progress = _train_epoch(run, progress, observers, saver=saver, stop=stop)
            progress = _end_epoch(run, progress, observers, saver=saver, started=started)
            _leave_if_asked(run, progress, run.ranks.all_reduce(stop.flags))
    return progress


def is_frozen(config: Config, epoch: int) -> bool:
    """Return whether only the head is trained in ``epoch``, counted from 0."""
    frozen_epochs = config.training.freeze_backbone_epochs
    return frozen_epochs is None or epoch < frozen_epochs


def _train_epoch(
    run: Run, progress: Progress, observers: Sequence[Observer], *, saver: Saver, stop: StopRequest
) -> Progress:
    """Take the steps of an epoch that are left, and save; return the progress."""
    run.state.module.set_mode(backbone_frozen=is_frozen(run.config, progress.epoch))
    run.stepper.look_at_modes()
    with fixed_shapes(searched=not run.config.deterministic):
        for record, result, after in _steps(run, progress, saver=saver, stop=stop):
            before, progress = progress, after
            for observer in observers:
                observer.step_done(record)
            stop_at_nonfinite(run, progress, before=before)
            *flags, is_time = result.asks
            if saver.is_due(progress.step) or is_time or any(flags):
                saver.save_within(progress)
                _leave_if_asked(run, progress, flags)
    saver.save_within(progress)
    return progress


def _steps(
    run: Run, progress: Progress, *, saver: Saver, stop: StopRequest
) -> Iterator[tuple[StepRecord, StepResult, Progress]]:
    """Take the steps that are left of an epoch; yield what each was, and the progress after it."""
    accumulation, ranks = run.config.training.accumulation_steps, run.ranks
    run.batches.go_to(progress.epoch, n_crops_done=progress.n_crops)
    n_left = max(0, run.n_batches - progress.n_crops // run.batches.crops_of_all)
    batches = DeviceBatches(islice(run.loader, n_left), run.state.fabric.device)
    began, waited_before = time.monotonic(), 0.0
    for group in batched(batches, accumulation):
        waited, waited_before = batches.waited_seconds - waited_before, batches.waited_seconds
        at = progress.n_crops / run.crops_per_step  # steps of the epoch before this one
        n_steps = run.learning_rate.steps_per_epoch
        margin = _set_margin(run, progress.epoch + at / n_steps)
        rate = run.learning_rate.apply(run.state.optimiser, progress.epoch * n_steps + at)
        result = run.stepper.step(group, asks=(*stop.flags, saver.is_time))
        n_crops = ranks.world_size * sum(len(batch[1]) for batch in group)
        class_loss = run.state.module.criterion.mean(result.loss_by_dim)
        n_parts = run.stepper.n_parts
        progress = progress.after_step(result, class_loss=class_loss, margin=margin, n_crops=n_crops, n_parts=n_parts)
        began, seconds = time.monotonic(), time.monotonic() - began
        record = StepRecord(
            epoch=progress.epoch + 1,
            step=progress.step,
            loss=result.loss,
            loss_by_dim=result.loss_by_dim,
            learning_rate=rate,
            margin=margin,
            gradient_norm=result.gradient_norm,
            utterances_per_second=n_crops / seconds,
            waiting_share=waited / seconds,
            memory_mib=peak_memory_mib(run.state.fabric.device),
            n_skipped=progress.n_skipped,
        )
        yield record, result, progress


def _end_epoch(
    run: Run, progress: Progress, observers: Sequence[Observer], *, saver: Saver, started: float
) -> Progress:
    """Validate an epoch whose steps are done, tell of it, and save it; return the progress."""
    module, so_far = run.state.module, progress.so_far
    warn_of_untrained_classes(module.criterion, so_far, epoch=progress.epoch)
    run.ranks.broadcast_tensors(module.buffers())  # statistics of the last step are each process's own
    validation = run.validator.validate(module.current_encoder())
    progress, is_best = note_best(run, progress.after_epoch(), validation)
    if is_best and run.ranks.is_first:
        module.save_beside_best(run.run_dir, run.state.architecture)
    seconds = time.monotonic() - started
    record = EpochRecord(progress.epoch, progress.step, so_far.mean_loss, validation, is_best, seconds)
    for observer in observers:
        observer.epoch_done(record)
    saver.save_epoch(progress, validation, best_name=run.best_name if is_best else None)
    return progress


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


def _leave_if_asked(run: Run, progress: Progress, flags: Sequence[float]) -> None:
    """Leave where any process got a signal; all is saved by now, in all of them.

    Raises:
        StoppedError: If one did.
    """
    if number := asked_signal(flags):
        run.ranks.barrier()
        error = StoppedError(
            f"stopped by {signal_name(number)} after step {progress.step}, in epoch {progress.epoch + 1}; all is saved",
            number,
            where=run.run_dir / LAST,
            fix=f"Go on with --resume {run.run_dir}.",
        )
        raise told_once(run.ranks, error)
