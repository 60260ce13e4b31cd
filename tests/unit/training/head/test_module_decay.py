"""Decay towards the start."""

import numpy as np
import pytest
import torch
from torch import nn

from mrlspk.training.head.module import add_decay_to_start


def adam_by_hand(gradients, rate, *, betas=(0.9, 0.999), eps=1e-8):
    """Yield what each step takes off, by Adam without weight decay (Kingma and Ba 2015, algorithm 1)."""
    first = second = 0.0
    for step, gradient in enumerate(gradients, start=1):
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        unbiased = first / (1 - betas[0] ** step), second / (1 - betas[1] ** step)
        yield rate * unbiased[0] / (np.sqrt(unbiased[1]) + eps)


def test_each_step_decays_towards_the_start():
    parameter, other = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    optimiser = torch.optim.AdamW([parameter, other], lr=0.1, weight_decay=0.0)
    add_decay_to_start(optimiser, {parameter: torch.tensor([2.0])}, decay=3.0)
    gradients = [0.5, -0.2, 0.9]
    expected, free = 1.0, 1.0
    for gradient, change in zip(gradients, adam_by_hand(gradients, 0.1), strict=True):
        parameter.grad, other.grad = torch.tensor([gradient]), torch.tensor([gradient])
        optimiser.step()
        free -= change
        expected -= change
        expected += 3.0 * 0.1 * (2.0 - expected)
        assert parameter.item() == pytest.approx(expected, rel=1e-5)
    assert other.item() == pytest.approx(free, rel=1e-5)


@pytest.mark.parametrize(("decay", "left"), [(2.0, 0.8), (30.0, 0.0)])  # not beyond the start
def test_decay_to_start_has_the_rate_of_the_first_group(decay, left):
    slow, fast = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    optimiser = torch.optim.SGD([{"params": [slow], "lr": 0.1}, {"params": [fast], "lr": 1.0}])
    start = {slow: torch.tensor([0.0]), fast: torch.tensor([0.0])}
    handle = add_decay_to_start(optimiser, start, decay=decay)
    for parameter in (slow, fast):
        parameter.grad = torch.zeros(1)
    optimiser.step()
    handle.remove()
    optimiser.step()
    assert [slow.item(), fast.item()] == pytest.approx([left, left])


def test_start_is_kept_as_it_was_given():
    parameter = nn.Parameter(torch.tensor([1.0]))
    start = parameter.detach().clone()
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    add_decay_to_start(optimiser, {parameter: start}, decay=0.5)
    parameter.grad = torch.ones(1)
    optimiser.step()
    assert parameter.item() == pytest.approx(0.5)  # 1 - 1, then half of the way back
    assert start.item() == 1.0
