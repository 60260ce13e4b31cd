"""The optimiser of a run that trains the head alone, with decay towards the start rather than towards zero."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from mrlspk.config import Config
from mrlspk.training.head.module import HeadModule
from mrlspk.training.optimiser import make_optimiser


def build_head_optimiser(config: Config, module: HeadModule) -> Optimizer:
    """Return the optimiser of what is trained of a head, and of the class weights; nothing decays towards zero."""
    rate = config.training.learning_rate
    groups = [
        {"params": module.trained_parameters(), "weight_decay": 0.0, "peak_lr": rate},
        {
            "params": list(module.criterion.parameters()),
            "weight_decay": 0.0,
            "peak_lr": rate * config.loss.class_lr_multiplier,
        },
    ]
    return make_optimiser(config.training, groups)


def add_decay_to_start(optimiser: Optimizer, start: Mapping[nn.Parameter, Tensor], *, decay: float) -> RemovableHandle:
    """Make each step of the optimiser draw parameters towards their values at the start, by ``decay`` x learning rate.

    As AdamW's decay towards zero (Loshchilov and Hutter 2019, arXiv:1711.05101), with the start in zero's place (L2-SP,
    Li et al. 2018, arXiv:1802.01483). The learning rate is that of the first group, for all: class weights, which learn
    faster, would else be held faster too.

    Args:
        optimiser: Not wrapped.
        start: What each parameter was, each on its device by now; one that is not named is left alone.
        decay: Share of the way that is gone back in a step of learning rate 1.
    """
    targets = {parameter: values.to(parameter) for parameter, values in start.items()}

    @torch.no_grad()
    def draw(stepped: Optimizer, _arguments: object, _keywords: object) -> None:
        share = min(1.0, decay * stepped.param_groups[0]["lr"])
        for parameter, target in targets.items():
            parameter.lerp_(target, share)

    return optimiser.register_step_post_hook(draw)
