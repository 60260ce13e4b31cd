"""Progress of a run, step by step and epoch by epoch."""

import math

from mrlspk.training.records import EpochSoFar, Progress

SKIPPED = object()


def after(progress, *losses):
    for loss in losses:
        if loss is SKIPPED:
            progress = progress.after_skipped_step(n_crops=8, n_parts=1)
        else:
            progress = progress.after_step(loss=loss, class_loss=loss / 2, margin=0.1, n_crops=8, n_parts=1)
    return progress


def test_step_adds_its_crops_and_loss():
    progress = after(Progress(epoch=2, step=10), 1.0, 4.0)
    assert (progress.epoch, progress.step, progress.n_crops) == (2, 12, 16)
    assert progress.so_far == EpochSoFar(2, 5.0, 2.5, 0.2)
    assert progress.so_far.mean_loss == 2.5


def test_skipped_step_counts_but_adds_no_loss():
    progress = after(Progress(), 1.0, SKIPPED, SKIPPED)
    assert (progress.step, progress.n_crops, progress.n_skipped, progress.n_skipped_in_a_row) == (3, 24, 2, 2)
    assert progress.so_far.mean_loss == 1.0
    progress = after(progress, 3.0, SKIPPED)
    assert (progress.n_skipped, progress.n_skipped_in_a_row) == (3, 1)
    assert progress.so_far.mean_loss == 2.0


def test_epoch_end_clears_its_steps():
    progress = after(Progress(), 1.0).after_epoch()
    assert progress == Progress(epoch=1, step=1)


def test_epoch_without_steps_has_nan_mean_loss():
    assert math.isnan(EpochSoFar().mean_loss)
