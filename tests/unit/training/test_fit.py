import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from mrlspk.config.architecture import describe_architecture
from mrlspk.config.backbone import ReDimNetConfig
from mrlspk.config.loss import LossConfig
from mrlspk.losses.build import build_loss
from mrlspk.losses.matryoshka import MatryoshkaLossValue
from mrlspk.models.encoder import build_encoder
from mrlspk.training.fit import take_step
from mrlspk.training.modules import TrainedModule, set_training_mode

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
    result = take_step(fabric, wrapped, wrapped_optimiser, group, **({"max_grad_norm": None} | options))
    return module.w.item(), result


def test_accumulated_batches_make_the_step_of_one_batch():
    x, y = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1, 1, 1, 1])
    whole, (loss, by_dim, norm) = step([(x, y)])
    halves, (loss_of_halves, _, norm_of_halves) = step([(x[:2], y[:2]), (x[2:], y[2:])])
    gradient = np.mean([2 * (2 * v - 1) * v for v in (1, 2, 3, 4)])  # 25
    assert whole == pytest.approx(2 - 0.1 * gradient)
    assert halves == pytest.approx(whole)
    assert loss == pytest.approx(np.mean([1, 9, 25, 49]))
    assert loss_of_halves == pytest.approx(loss)
    assert by_dim == {1: pytest.approx(loss)}
    assert norm == norm_of_halves == pytest.approx(gradient)


def test_gradient_is_clipped_to_its_norm():
    clipped, (_, _, norm) = step([(torch.tensor([4.0]), torch.tensor([1]))], max_grad_norm=0.5)
    assert norm == pytest.approx(2 * (2 * 4 - 1) * 4)
    assert clipped == pytest.approx(2 - 0.1 * 0.5)


@pytest.fixture
def trained():
    torch.manual_seed(0)
    encoder = build_encoder(describe_architecture(TINY, (4, 8)))
    criterion = build_loss(LossConfig(), dims=(4, 8), weights=(1, 1), n_speakers=3)
    module = TrainedModule(encoder, criterion)
    return module, torch.optim.AdamW(module.parameters(), lr=0.01)


def run_steps(module, optimiser, n_steps=3):
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    generator = torch.Generator().manual_seed(1)
    for _ in range(n_steps):
        batch = torch.randn(6, 4000, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
        take_step(fabric, wrapped, wrapped_optimiser, [batch], max_grad_norm=1.0)


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
