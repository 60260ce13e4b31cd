import math

import pytest

from mrlspk.training.checkpoints.progress import EpochSoFar, Progress
from mrlspk.training.step import StepResult


def result(loss, *, is_done=True):
    return StepResult(loss, {4: loss}, 1.0, is_done)


def after(progress, *steps):
    for step in steps:
        progress = progress.after_step(step, class_loss=step.loss / 2, margin=0.1, n_crops=8, n_parts=1)
    return progress


def test_steps_count_their_crops_and_their_losses():
    progress = after(Progress(epoch=2, step=10), result(1.0), result(4.0))
    assert (progress.epoch, progress.step, progress.n_crops) == (2, 12, 16)
    assert progress.so_far == EpochSoFar(2, 5.0, 2.5, 0.2)
    assert progress.so_far.mean_loss == 2.5


def test_steps_left_out_count_as_steps_and_not_as_losses():
    progress = after(Progress(), result(1.0), result(math.nan, is_done=False), result(math.inf, is_done=False))
    assert (progress.step, progress.n_crops, progress.n_skipped, progress.n_skipped_in_a_row) == (3, 24, 2, 2)
    assert progress.so_far.mean_loss == 1.0
    progress = after(progress, result(3.0), result(math.nan, is_done=False))
    assert (progress.n_skipped, progress.n_skipped_in_a_row) == (3, 1)
    assert progress.so_far.mean_loss == 2.0


def test_epoch_that_is_done_leaves_nothing_of_its_steps():
    progress = after(Progress(), result(1.0)).after_epoch()
    assert progress == Progress(epoch=1, step=1)


def test_epoch_of_no_step_has_no_mean_loss():
    assert math.isnan(EpochSoFar().mean_loss)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Progress(), Progress(n_crops=8)),
        (Progress(n_crops=8), Progress(epoch=1)),
        (Progress(epoch=1), Progress(epoch=2)),
    ],
)
def test_places_are_in_the_order_of_the_run(earlier, later):
    assert earlier.place < later.place
