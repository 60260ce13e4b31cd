"""The fit loop: epochs of steps, each epoch validated and saved; it can be left and taken up again at any step."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import batched, islice
from pathlib import Path

from mrlspk.distributed import on_rank_zero, told_once
from mrlspk.errors import MrlspkError, StoppedError
from mrlspk.files import whole_file
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.losses.random_classes import random_start_loss
from mrlspk.losses.schedule import margin_at
from mrlspk.training.acceleration import fixed_shapes
from mrlspk.training.checkpoints.checkpoint import LAST
from mrlspk.training.checkpoints.random_state import seed_apart
from mrlspk.training.checkpoints.saving import Saver, build_saver
from mrlspk.training.device_batches import DeviceBatches
from mrlspk.training.device_memory import peak_memory_mib
from mrlspk.training.modules import is_frozen
from mrlspk.training.records import EpochRecord, EpochSoFar, Observer, Progress, StepRecord
from mrlspk.training.run import Run
from mrlspk.training.selection import is_out_of_patience, note_best
from mrlspk.training.step import StepResult
from mrlspk.training.stop_request import StopRequest, asked_signal, signal_name

log = logging.getLogger("mrlspk.training")

NONFINITE_STEP = "nonfinite-step.json"
ENOUGH_STEPS = 50  # in an epoch, for its mean loss to show whether classifier weights learn
UNTRAINED_SHARE = 0.95  # of the loss of random classifier weights: above it they have learnt nothing


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
            _abort_after_nonfinite_steps(run, progress, before=before)
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
        if result.is_done:
            progress = progress.after_step(
                loss=result.loss, class_loss=class_loss, margin=margin, n_crops=n_crops, n_parts=n_parts
            )
        else:
            progress = progress.after_skipped_step(n_crops=n_crops, n_parts=n_parts)
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
    _warn_of_untrained_classifier(module.criterion, so_far, epoch=progress.epoch)
    run.ranks.broadcast_tensors(module.buffers())  # statistics of the last step are each process's own
    validation = run.validator.validate(module.current_encoder())
    progress, is_best = note_best(run.config, progress.after_epoch(), validation, full_width_limit=run.full_width_limit)
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


def _warn_of_untrained_classifier(criterion: MatryoshkaLoss, so_far: EpochSoFar, *, epoch: int) -> None:
    """Warn if a whole epoch has left the loss at the value of random classifier weights.

    Args:
        criterion: Its margin becomes the mean of the epoch; the next step sets its own.
        so_far: Steps of the epoch.
        epoch: Counted from 0.
    """
    if so_far.n_steps < ENOUGH_STEPS:
        return
    if isinstance(criterion.loss, AAMSoftmax):
        criterion.loss.margin = so_far.margin / so_far.n_steps
    random_loss, class_loss = random_start_loss(criterion), so_far.class_loss / so_far.n_steps
    if random_loss is not None and class_loss > UNTRAINED_SHARE * random_loss:
        log.warning(
            "epoch %d: the mean loss %.2f is that of random classifier weights (%.2f): they are not being trained, "
            "or training.learning_rate is far too low",
            epoch + 1,
            class_loss,
            random_loss,
        )


def _abort_after_nonfinite_steps(run: Run, progress: Progress, *, before: Progress) -> None:
    """Abort after ``training.max_nonfinite_steps`` skipped steps in a row.

    Args:
        run: Its weights are those before the first of these steps.
        progress: After the last step.
        before: Before the last step.

    Raises:
        MrlspkError: If there were so many; it names a file with the crops of the last step.
    """
    allowed = run.config.training.max_nonfinite_steps
    if progress.n_skipped_in_a_row < allowed:
        return
    path = run.run_dir / NONFINITE_STEP
    on_rank_zero(run.ranks, lambda: _write_crops(run, progress, path, before=before))
    error = MrlspkError(
        f"loss or gradient was not finite in {allowed} steps in a row, the last of them step {progress.step} "
        f"of epoch {progress.epoch + 1}; {path.name} lists its utterances",
        path,
        "Listen to them. Lower training.learning_rate or set hardware.precision=fp32, and resume with "
        "`resume=auto` and `allow_changes=True`: the weights are those before the first of these steps.",
    )
    raise told_once(run.ranks, error)


def _write_crops(run: Run, progress: Progress, path: Path, *, before: Progress) -> None:
    n_batches = run.config.training.accumulation_steps
    keys = run.batches.crops_at(progress.epoch, n_crops_done=before.n_crops, n_batches=n_batches)
    names = [run.name_crop(key) for key in keys[: progress.n_crops - before.n_crops]]
    found = {"epoch": progress.epoch + 1, "step": progress.step, "utterance_ids": names}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
