"""A warning where class weights learn nothing: the mistake that costs a factor of ten."""

import logging

from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.losses.random_classes import random_start_loss
from mrlspk.training.checkpoints.progress import EpochSoFar

log = logging.getLogger("mrlspk.training")

ENOUGH_STEPS = 50  # in an epoch, for its mean loss to tell whether class weights learn
UNTRAINED_CLASSES = 0.95  # share of the loss of random class weights above which they have learnt nothing


def warn_of_untrained_classes(criterion: MatryoshkaLoss, so_far: EpochSoFar, *, epoch: int) -> None:
    """Say so where the steps of a whole epoch have left the loss where random class weights have it.

    Args:
        criterion: Its margin becomes the mean of the epoch; the next step sets its own.
        so_far: The steps of the epoch.
        epoch: Counted from 0.
    """
    if so_far.n_steps < ENOUGH_STEPS:
        return
    if isinstance(criterion.loss, AAMSoftmax):
        criterion.loss.margin = so_far.margin / so_far.n_steps
    random_loss, class_loss = random_start_loss(criterion), so_far.class_loss / so_far.n_steps
    if random_loss is not None and class_loss > UNTRAINED_CLASSES * random_loss:
        log.warning(
            "epoch %d: the mean loss %.2f is what random class weights give (%.2f): they are not being trained, "
            "or training.learning_rate is far too low",
            epoch + 1,
            class_loss,
            random_loss,
        )
