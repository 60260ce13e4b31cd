"""Build the optimiser and the learning-rate schedule of a run."""

import math
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from mrlspk.config import Config
from mrlspk.config.training import TrainingConfig
from mrlspk.models.encoder import Encoder
from mrlspk.models.parts import constants, layer_depths, part_of

ADAPTER = ".lora_"  # in the name of each adapter parameter


def build_optimiser(config: Config, encoder: Encoder, criterion: nn.Module) -> Optimizer:
    """Return the optimiser of an encoder and the classifier weights of its loss.

    Matrices decay; biases, norms and stream weights do not. Each part has the rate of its depth (`layer_depths`),
    classifier weights have their own; the head's groups come first. Parameters that are frozen at first are included:
    they stay as they are until they get a gradient, and the others keep their optimiser state then.
    """
    training = config.training
    rates = _learning_rates(config, encoder)
    by_rate: dict[float, list[nn.Parameter]] = {rate: [] for rate in rates.values()}
    for name, parameter in _trained(encoder, head_only=training.freeze_backbone_epochs is None):
        by_rate[rates[part_of(name)]].append(parameter)
    groups: list[dict[str, Any]] = []
    for rate, parameters in by_rate.items():
        matrices, vectors = ([p for p in parameters if (p.ndim > 1) == wanted] for wanted in (True, False))
        groups.append({"params": matrices, "weight_decay": training.weight_decay, "peak_lr": rate})
        groups.append({"params": vectors, "weight_decay": 0.0, "peak_lr": rate})
    class_rate = training.learning_rate * config.loss.class_lr_multiplier
    groups.append(
        {"params": list(criterion.parameters()), "weight_decay": training.weight_decay, "peak_lr": class_rate}
    )
    return make_optimiser(training, groups)


def make_optimiser(training: TrainingConfig, groups: list[dict[str, Any]]) -> Optimizer:
    """Return the configured optimiser of parameter groups, each with its ``peak_lr``; empty groups are dropped."""
    groups = [group | {"lr": group["peak_lr"]} for group in groups if group["params"]]
    if training.optimizer == "SGD":
        momentum = training.momentum
        return SGD(groups, lr=training.learning_rate, momentum=momentum, nesterov=momentum > 0)
    return AdamW(groups, lr=training.learning_rate, betas=training.betas)


def _learning_rates(config: Config, encoder: Encoder) -> dict[str, float]:
    """Return the peak rate of each part of an encoder; all parts before the head have the backbone's share."""
    peak, training = config.training.learning_rate, config.training
    share, decay = training.backbone_lr_multiplier, training.layer_lr_decay
    return {part: peak * share * decay**depth if depth else peak for part, depth in layer_depths(encoder).items()}


def _trained(encoder: Encoder, *, head_only: bool) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield each parameter that the run ever trains: head and adapters, and unless ``head_only`` the backbone."""
    fixed = {id(parameter) for parameter in constants(encoder)}
    for name, parameter in encoder.named_parameters():
        always = name.startswith("head.") or ADAPTER in name
        if always or not (head_only or id(parameter) in fixed):
            yield name, parameter


class LearningRate:
    """Linear warm-up, then cosine, step or exponential decay: a function of the optimiser step only.

    Args:
        kind: ``cosine``, ``step`` or ``exponential``.
        steps_per_epoch: Optimiser steps.
        num_epochs: Of the whole run.
        warmup_epochs: Duration of the rise from 0 to the peak.
        floor: Minimum, as a share of the peak.
        step_epochs: Epochs between two decays of ``step``.
        gamma: Factor of each decay, or of each epoch.
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

    def factor(self, step: float) -> float:
        """Return the share of the peak at optimiser step ``step``, counted from 0; fractions are allowed."""
        epoch = step / self.steps_per_epoch
        if epoch < self.warmup_epochs:
            return max(self.floor, (step + 1) / (self.warmup_epochs * self.steps_per_epoch + 1))
        after = epoch - self.warmup_epochs
        if self.kind == "cosine":
            share = min(1.0, after / max(self.num_epochs - self.warmup_epochs, 1e-9))
            return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * share)) / 2
        exponent = math.floor(after / self.step_epochs) if self.kind == "step" else after
        return float(max(self.floor, self.gamma**exponent))

    def apply(self, optimiser: Optimizer, step: float) -> float:
        """Set the rate of every group for ``step``; return the rate of the first group."""
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
        num_epochs=training.epochs,
        warmup_epochs=training.warmup_epochs,
        floor=min(1.0, training.min_lr / training.learning_rate),
        step_epochs=training.lr_step_epochs,
        gamma=training.lr_gamma,
    )
