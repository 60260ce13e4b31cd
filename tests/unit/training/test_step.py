"""Optimiser steps: accumulation, skipped steps, memory that runs out."""

import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.loss import LossConfig
from mrlspk.errors import MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.losses.matryoshka import MatryoshkaLossValue
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import set_training_mode
from mrlspk.training.network.module import NetworkModule
from mrlspk.training.step import Stepper

TINY = ReDimNetConfig(F=8, C=4, stages_setup=((1, 1, 1, ((3, 3),), None), (2, 1, 1, ((3, 3),), 4)))


class Squares(nn.Module):
    """Its loss is the mean of (w x - y)², so that gradients can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(2.0))

    def forward(self, x, y):
        loss = ((self.w * x - y) ** 2).mean()
        return MatryoshkaLossValue(loss, {1: loss.detach()})


def step(group, **options):
    fabric = Fabric(accelerator="cpu", devices=1)
    module, optimiser = Squares(), None
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    result = Stepper(fabric, wrapped, wrapped_optimiser, **({"max_grad_norm": None} | options)).step(group)
    return module.w.item(), result


def test_accumulated_batches_make_the_step_of_one_batch():
    x, y = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1, 1, 1, 1])
    whole, one = step([(x, y)])
    halves, two = step([(x[:2], y[:2]), (x[2:], y[2:])])
    gradient = np.mean([2 * (2 * v - 1) * v for v in (1, 2, 3, 4)])  # 25
    assert whole == pytest.approx(2 - 0.1 * gradient)
    assert halves == pytest.approx(whole)
    assert one.loss == pytest.approx(np.mean([1, 9, 25, 49]))
    assert two.loss == pytest.approx(one.loss)
    assert one.loss_by_dim == {1: pytest.approx(one.loss)}
    assert one.gradient_norm == two.gradient_norm == pytest.approx(gradient)
    assert one.is_done
    assert two.is_done


def test_gradient_is_clipped_to_its_norm():
    clipped, result = step([(torch.tensor([4.0]), torch.tensor([1]))], max_grad_norm=0.5)
    assert result.gradient_norm == pytest.approx(2 * (2 * 4 - 1) * 4)
    assert clipped == pytest.approx(2 - 0.1 * 0.5)


@pytest.fixture
def trained():
    torch.manual_seed(0)
    encoder = build_encoder(describe_architecture(TINY, (4, 8)))
    criterion = build_loss(LossConfig(), dims=(4, 8), weights=(1, 1), n_speakers=3)
    module = NetworkModule(encoder, criterion)
    return module, torch.optim.AdamW(module.parameters(), lr=0.01)


def run_steps(module, optimiser, n_steps=3):
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    stepper = Stepper(fabric, wrapped, wrapped_optimiser, max_grad_norm=1.0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(n_steps):
        batch = torch.randn(6, 4000, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
        stepper.step([batch])


def test_frozen_parts_stay_bit_for_bit_and_the_rest_moves(trained):
    module, optimiser = trained
    set_training_mode(module.encoder, backbone_frozen=True)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    run_steps(module, optimiser)
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    frozen = ("encoder.spec.", "encoder.backbone.", "encoder.pool.")
    assert not [name for name in moved if name.startswith(frozen)]
    assert {name for name in before if not name.startswith(frozen)} == moved
    assert "criterion.loss.weight" in moved


def test_end_to_end_moves_every_parameter_and_statistic(trained):
    module, optimiser = trained
    set_training_mode(module.encoder, backbone_frozen=False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    run_steps(module, optimiser)
    still = {name for name, value in module.state_dict().items() if torch.equal(value, before[name])}
    constants = {name for name in before if name.startswith("encoder.spec.")} | {"encoder.backbone.stage0.0.w"}
    shift_free = {name for name in still if name.endswith("k_proj.bias")}  # attention does not depend on it
    assert still - constants - shift_free == set()
    assert math.isfinite(sum(value.double().sum().item() for value in module.state_dict().values()))


def values_of(module, optimiser):
    """Return every value that a step can change."""
    states = [value for state in optimiser.state.values() for value in state.values()]
    return [value.clone() for value in (*module.state_dict().values(), *states)]


def stepper_of(module, optimiser, **options):
    fabric = Fabric(accelerator="cpu", devices=1)
    return Stepper(fabric, *fabric.setup(module, optimiser), **({"max_grad_norm": 1.0} | options))


def batch_of(value=None, n=6):
    waveforms = torch.randn(n, 4000, generator=torch.Generator().manual_seed(2))
    if value is not None:
        waveforms[0, 100] = value
    return waveforms, torch.tensor([0, 1, 2] * (n // 3))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("accumulated", [False, True])
def test_non_finite_loss_leaves_everything_as_it_was(trained, value, accumulated):
    module, optimiser = trained
    set_training_mode(module.encoder, backbone_frozen=False)
    stepper = stepper_of(module, optimiser)
    assert stepper.step([batch_of()]).is_done
    before = values_of(module, optimiser)
    result = stepper.step([batch_of(), batch_of(value)] if accumulated else [batch_of(value)])
    assert not result.is_done
    assert not math.isfinite(result.loss)
    assert all(map(torch.equal, before, values_of(module, optimiser)))
    assert stepper.step([batch_of()]).is_done
    assert not all(map(torch.equal, before, values_of(module, optimiser)))


def test_non_finite_gradient_skips_the_step():
    class Root(Squares):
        def forward(self, x, y):
            loss = torch.sqrt(self.w * 0 * x).sum() + 0 * y.sum()  # zero, and its slope is infinite times zero
            return MatryoshkaLossValue(loss, {1: loss.detach()})

    module = Root()
    stepper = stepper_of(module, torch.optim.SGD(module.parameters(), lr=0.1))
    result = stepper.step([(torch.tensor([1.0]), torch.tensor([1]))])
    assert result.loss == 0
    assert not result.is_done
    assert module.w.item() == 2


class Small(nn.Module):
    """`Squares` on a card that has room for some crops only; counts those of each pass."""

    def __init__(self, room):
        super().__init__()
        self.inner, self.room, self.passes = Squares(), room, []

    def forward(self, x, y):
        self.passes.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("no room")
        return self.inner(x, y)


def test_out_of_memory_halves_batches_for_the_same_step(caplog):
    x, y = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1, 1, 1, 1])
    expected, _ = step([(x, y), (2 * x, y)])
    module = Small(2)
    stepper = stepper_of(module, torch.optim.SGD(module.parameters(), lr=0.1), max_grad_norm=None)
    stepper.step([(x, y), (2 * x, y)])
    assert module.inner.w.item() == pytest.approx(expected)
    assert module.passes == [4, 2, 2, 2, 2]
    assert "batches of 4" in caplog.text
    assert "two parts of 2" in caplog.text
    caplog.clear()
    stepper.step([(x, y)])
    assert module.passes[5:] == [2, 2]
    assert not caplog.text
    module.room = 1
    with pytest.raises(MrlspkError, match="at 2 crops at once: batches are in two parts already"):
        stepper.step([(x, y)])


@pytest.mark.parametrize(("n", "side_by_side"), [(5, 1), (2, 1), (6, 2)])
def test_batch_that_cannot_be_halved_is_reported(n, side_by_side):
    module = Small(1)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    stepper = stepper_of(module, optimiser, crops_side_by_side=side_by_side)
    with pytest.raises(MrlspkError, match=f"a batch of {n} cannot be halved"):
        stepper.step([(torch.ones(n), torch.ones(n))])


def test_statistics_of_an_out_of_memory_pass_are_not_counted(trained):
    """The batch comes again in parts, as if the failed pass had never been."""
    module, optimiser = trained
    set_training_mode(module.encoder, backbone_frozen=False)
    stepper, failed = stepper_of(module, optimiser), []

    def fail(_module, _arguments, _output):
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("no room")

    hook = module.criterion.register_forward_hook(fail)
    stepper.step([batch_of()])
    hook.remove()
    counts = [value for name, value in module.encoder.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts
    assert all(count == 2 for count in counts)  # the two parts


def test_step_sums_the_asked_numbers():
    result = stepper_of(module := Squares(), torch.optim.SGD(module.parameters(), lr=0.1)).step(
        [(torch.ones(2), torch.ones(2))], asks=(1.0, 0.0)
    )
    assert result.asks == (1.0, 0.0)


def test_optimiser_out_of_memory_is_reported_and_bugs_keep_tracebacks(monkeypatch):
    module, batch = Squares(), (torch.ones(2), torch.ones(2))

    def fail_with(text):
        def fail(*_arguments, **_options):
            raise RuntimeError(text)

        return fail

    monkeypatch.setattr(torch.optim.SGD, "step", fail_with("CUDA error: out of memory"))
    stepper = stepper_of(module, torch.optim.SGD(module.parameters(), lr=0.1))
    with pytest.raises(MrlspkError, match="the optimiser had no room"):
        stepper.step([batch])
    monkeypatch.setattr(torch.optim.SGD, "step", fail_with("sizes do not match"))
    stepper = stepper_of(module, torch.optim.SGD(module.parameters(), lr=0.1))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        stepper.step([batch])
