"""Train a run epoch by epoch: take the steps, validate, save; stop and resume at any step."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, islice
from pathlib import Path

from mrlspk.distributed import on_rank_zero, shown_by_rank_zero
from mrlspk.errors import MrlspkError, StoppedError
from mrlspk.files import whole_file
from mrlspk.losses.margin import AAMSoftmax, scheduled_margin
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.losses.random_classifier import random_start_loss
from mrlspk.training.best_epoch import is_out_of_patience, note_best
from mrlspk.training.checkpoints.random_state import seed_apart
from mrlspk.training.checkpoints.run_folder import LAST
from mrlspk.training.checkpoints.saving import Saver, build_saver
from mrlspk.training.device_batches import DeviceBatches
from mrlspk.training.device_memory import peak_memory_mib
from mrlspk.training.divergence import check_encoder, check_weights
from mrlspk.training.hardware import fixed_shapes
from mrlspk.training.records import EpochRecord, EpochSoFar, Observer, Progress, StepRecord
from mrlspk.training.run import Run
from mrlspk.training.signals import StopRequest, asked_signal, signal_name
from mrlspk.training.step import Batch, StepResult
from mrlspk.training.trained_module import is_frozen
from mrlspk.training.unreadable_files import new_unreadable, with_unreadable

log = logging.getLogger("mrlspk.training")

NONFINITE_STEP = "nonfinite-step.json"
ENOUGH_STEPS = 50  # in an epoch, for its mean loss to show whether classifier weights learn
UNTRAINED_SHARE = 0.95  # of the loss of random classifier weights: above it they have learnt nothing


def fit(run: Run, observers: Sequence[Observer] = ()) -> None:
    """Train a run from its progress to the last epoch; its state has the new progress.

    Args:
        run: The run.
        observers: Watch the run; none in any process but the first.

    Raises:
        StoppedError: If a signal asked to stop; everything is saved.
        MrlspkError: If too many steps in a row are not finite, or a checkpoint cannot be written.
        DataError: If more audio files cannot be read than the configuration allows.
    """
    config, state = run.config, run.state
    run.stepper.n_parts = state.progress.n_parts
    with StopRequest() as stop:
        loop = _Loop(run, observers, build_saver(state), stop)
        if state.progress == Progress():
            seed_apart(config.seed, run.ranks.rank)
            loop.saver.save_within()  # so that the run can be resumed at any moment
        while state.progress.epoch < config.training.epochs:
            if is_out_of_patience(state.progress, config.training.early_stopping_epochs):
                epoch, best = state.progress.epoch, state.progress.best_epoch
                log.info("stopping early after epoch %d: no better epoch since epoch %d", epoch, best)
                break
            started = time.monotonic()
            loop.train_epoch()
            loop.end_epoch(started)
            loop.stop_if_asked(run.ranks.all_reduce(stop.flags))


@dataclass(frozen=True)
class _Loop:
    """A run in `fit`, its observers, and what saves and stops it."""

    run: Run
    observers: Sequence[Observer]
    saver: Saver
    stop: StopRequest

    def train_epoch(self) -> None:
        """Take the remaining steps of the epoch, and save."""
        run, state = self.run, self.run.state
        state.module.set_mode(backbone_frozen=is_frozen(run.config, state.progress.epoch))
        run.stepper.note_modes()
        before = state.progress
        with fixed_shapes(searched=not run.config.deterministic):
            for record, result, group in self._steps():
                for observer in self.observers:
                    observer.step_done(record)
                _abort_after_nonfinite_steps(run, group, before=before)
                before = state.progress
                *flags, is_time, _ = result.asks
                if self.saver.is_due(state.progress.step) or is_time or any(flags):
                    self.saver.save_within()
                    self.stop_if_asked(flags)
        self.saver.save_within()

    def _steps(self) -> Iterator[tuple[StepRecord, StepResult, Sequence[Batch]]]:
        """Take the remaining steps of the epoch; yield each, with its batches, after it is in the progress."""
        run, state = self.run, self.run.state
        state.batches.go_to(state.progress.epoch, n_crops_done=state.progress.n_crops)
        n_left = max(0, state.n_batches - state.progress.n_crops // state.batches.crops_of_all)
        batches = DeviceBatches(islice(run.loader, n_left), state.fabric.device)
        began, waited_before = time.monotonic(), 0.0
        for group in batched(batches, run.config.training.accumulation_steps):
            waited, waited_before = batches.waited_seconds - waited_before, batches.waited_seconds
            epoch, n_steps = state.progress.epoch, state.steps_per_epoch
            at = state.progress.n_crops / state.effective_batch  # steps of the epoch before this one
            margin = _set_margin(run, epoch + at / n_steps)
            rate = run.learning_rate.apply(state.optimiser, epoch * n_steps + at)
            new = new_unreadable(run)
            result = run.stepper.step(group, asks=(*self.stop.flags, self.saver.is_time, len(new)))
            n_crops = run.ranks.world_size * sum(len(batch[1]) for batch in group)
            state.progress = self._after(result, margin=margin, n_crops=n_crops)
            if result.asks[-1]:
                state.progress = with_unreadable(run, new)
            began, seconds = time.monotonic(), time.monotonic() - began
            record = StepRecord(
                epoch=state.progress.epoch + 1,
                step=state.progress.step,
                loss=result.loss,
                loss_by_dim=result.loss_by_dim,
                learning_rate=rate,
                margin=margin,
                gradient_norm=result.gradient_norm,
                utterances_per_second=n_crops / seconds,
                waiting_share=waited / seconds,
                memory_mib=peak_memory_mib(state.fabric.device),
                n_skipped=state.progress.n_skipped,
            )
            yield record, result, group

    def _after(self, result: StepResult, *, margin: float, n_crops: int) -> Progress:
        """Return the progress after a step of ``n_crops``, of all processes."""
        progress, n_parts = self.run.state.progress, self.run.stepper.n_parts
        if not result.is_done:
            return progress.after_skipped_step(n_crops=n_crops, n_parts=n_parts)
        class_loss = self.run.state.module.criterion.mean(result.loss_by_dim)
        return progress.after_step(
            loss=result.loss, class_loss=class_loss, margin=margin, n_crops=n_crops, n_parts=n_parts
        )

    def end_epoch(self, started: float) -> None:
        """Validate the epoch, tell the observers, and save."""
        run, state = self.run, self.run.state
        module, so_far = state.module, state.progress.so_far
        _warn_of_untrained_classifier(module.criterion, so_far, epoch=state.progress.epoch)
        run.ranks.broadcast_tensors(module.buffers())  # each process has its own statistics of the last step
        encoder = module.current_encoder()
        check_encoder(run, encoder)
        validation = run.validator.validate(encoder)
        state.progress, is_best = note_best(
            run.config, state.progress.after_epoch(), validation, full_width_limit=run.full_width_limit
        )
        if is_best and run.ranks.is_first:
            module.save_beside_best(run.run_dir, state.architecture)
        seconds = time.monotonic() - started
        record = EpochRecord(
            state.progress.epoch,
            state.progress.step,
            so_far.mean_loss,
            validation,
            is_best,
            seconds,
            n_unreadable=len(state.progress.unreadable),
        )
        for observer in self.observers:
            observer.epoch_done(record)
        self.saver.save_epoch(validation, best_name=run.best_name if is_best else None)

    def stop_if_asked(self, flags: Sequence[float]) -> None:
        """Stop if any process received a signal; everything is saved in all of them.

        Raises:
            StoppedError: If one did.
        """
        number = asked_signal(flags)
        if not number:
            return
        run, progress = self.run, self.run.state.progress
        run.ranks.barrier()
        error = StoppedError(
            f"stopped by {signal_name(number)} after step {progress.step}, in epoch {progress.epoch + 1}; "
            "everything is saved",
            number,
            where=run.run_dir / LAST,
            fix=f"Resume with `resume={run.run_dir}`.",
        )
        raise shown_by_rank_zero(run.ranks, error)


def _set_margin(run: Run, epoch: float) -> float:
    """Set the margin of the loss for a moment of the run and return it; 0 for triplets, whose margin is fixed."""
    loss, config = run.state.module.criterion.loss, run.config.loss
    if not isinstance(loss, AAMSoftmax):
        return 0.0
    start, full = config.margin_start_epoch, config.margin_full_epoch
    loss.margin = scheduled_margin(
        epoch, start_epoch=start, full_epoch=full, margin=config.margin, start_margin=config.margin_start
    )
    return loss.margin


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
            "epoch %d: the mean loss %.2f is no better than with random classifier weights (%.2f): "
            "they are not being trained, or training.learning_rate is far too low",
            epoch + 1,
            class_loss,
            random_loss,
        )


def _abort_after_nonfinite_steps(run: Run, group: Sequence[Batch], *, before: Progress) -> None:
    """Abort after ``training.max_nonfinite_steps`` skipped steps in a row.

    Args:
        run: Its weights are those before the first of these steps.
        group: Batches of the last step.
        before: Progress before the last step.

    Raises:
        MrlspkError: If there were so many: training has diverged, or else a file names the crops of the last step.
    """
    allowed, progress = run.config.training.max_nonfinite_steps, run.state.progress
    if progress.n_skipped_in_a_row < allowed:
        return
    check_weights(run, group)
    path = run.run_dir / NONFINITE_STEP
    on_rank_zero(run.ranks, lambda: _write_crops(run, path, before=before))
    error = MrlspkError(
        f"loss or gradient was not finite in {allowed} steps in a row, the last of them step {progress.step} "
        f"of epoch {progress.epoch + 1}; {path.name} lists its utterances",
        path,
        "Listen to them. Lower training.learning_rate or set hardware.precision=fp32, and resume with "
        "`resume=auto` and `allow_changes=True`: the weights are those before the first of these steps.",
    )
    raise shown_by_rank_zero(run.ranks, error)


def _write_crops(run: Run, path: Path, *, before: Progress) -> None:
    """Write the utterances of the step after ``before``."""
    progress, n_batches = run.state.progress, run.config.training.accumulation_steps
    keys = run.state.batches.crops_at(progress.epoch, n_crops_done=before.n_crops, n_batches=n_batches)
    names = [run.state.plan.name_crop(key) for key in keys[: progress.n_crops - before.n_crops]]
    found = {"epoch": progress.epoch + 1, "step": progress.step, "utterance_ids": names}
    with whole_file(path, force=True) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
