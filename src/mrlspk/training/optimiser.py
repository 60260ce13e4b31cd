"""The optimiser, with every trained parameter in it, and the learning rate over a run."""

import math
from collections.abc import Iterator

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from mrlspk.config import Config
from mrlspk.models.encoder import Encoder


def build_optimiser(config: Config, encoder: Encoder, criterion: nn.Module) -> Optimizer:
    """Return the optimiser of an encoder and the class weights of its loss.

    Matrices decay; biases, norms and stream weights do not. Class weights have their own learning rate. Parameters that
    are frozen now but not for the whole run are in it too, and stay as they are until they get a gradient.
    """
    training = config.training
    never = training.freeze_backbone_epochs is None
    trained = list((encoder.head if never else encoder).parameters())
    if not never:
        fixed = {id(parameter) for parameter in _single_stream_weights(encoder)}
        trained = [parameter for parameter in trained if id(parameter) not in fixed]
    class_rate = training.learning_rate * config.loss.class_lr_multiplier
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        {"params": list(criterion.parameters()), "weight_decay": training.weight_decay, "lr": class_rate},
    ]
    groups = [group for group in groups if group["params"]]
    for group in groups:
        group["peak_lr"] = group.get("lr", training.learning_rate)
    if training.optimizer == "SGD":
        momentum = training.momentum
        return SGD(groups, lr=training.learning_rate, momentum=momentum, nesterov=momentum > 0)
    return AdamW(groups, lr=training.learning_rate, betas=training.betas)


def _single_stream_weights(encoder: Encoder) -> Iterator[nn.Parameter]:
    """Yield the weights of sums over one stream: constants that published state dicts carry."""
    for name, parameter in encoder.backbone.named_parameters():
        if name.endswith(".w") and parameter.shape[1] == 1:
            yield parameter


class LearningRate:
    """Linear warm-up, then a cosine, steps or an exponential decay, as a function of the optimiser step alone.

    Args:
        kind: ``cosine``, ``step`` or ``exponential``.
        steps_per_epoch: Optimiser steps.
        num_epochs: Of the whole run.
        warmup_epochs: Rise from nothing to the peak.
        floor: Least learning rate, as a share of the peak.
        step_epochs: Epochs between two falls of ``step``.
        gamma: Factor of each fall, or of each epoch.
    """

    def __init__(
        self,
        kind: str,
        *,
        steps_per_epoch: int,
        num_epochs: int,
        warmup_epochs: float,
        floor: float,
        step_epochs: int,
        gamma: float,
    ) -> None:
        self.kind, self.steps_per_epoch, self.num_epochs = kind, steps_per_epoch, num_epochs
        self.warmup_epochs, self.floor, self.step_epochs, self.gamma = warmup_epochs, floor, step_epochs, gamma

    def factor(self, step: int) -> float:
        """Return the share of the peak at optimiser step ``step``, counted from 0."""
        epoch = step / self.steps_per_epoch
        if epoch < self.warmup_epochs:
            return max(self.floor, (step + 1) / (self.warmup_epochs * self.steps_per_epoch + 1))
        after = epoch - self.warmup_epochs
        if self.kind == "cosine":
            share = min(1.0, after / max(self.num_epochs - self.warmup_epochs, 1e-9))
            return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * share)) / 2
        exponent = math.floor(after / self.step_epochs) if self.kind == "step" else after
        return float(max(self.floor, self.gamma**exponent))

    def apply(self, optimiser: Optimizer, step: int) -> float:
        """Set the rate of every group for ``step``; return that of the first."""
        factor = self.factor(step)
        for group in optimiser.param_groups:
            group["lr"] = group["peak_lr"] * factor
        return float(optimiser.param_groups[0]["lr"])


def build_learning_rate(config: Config, *, steps_per_epoch: int) -> LearningRate:
    """Return the schedule of section ``training``."""
    training = config.training
    return LearningRate(
        training.lr_scheduler,
        steps_per_epoch=steps_per_epoch,
        num_epochs=training.num_epochs,
        warmup_epochs=training.warmup_epochs,
        floor=min(1.0, training.min_lr / training.learning_rate),
        step_epochs=training.lr_step_epochs,
        gamma=training.lr_gamma,
    )
