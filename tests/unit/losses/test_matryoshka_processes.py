"""Losses of a batch of sixteen in one process equal those of eight in each of two."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mrlspk.config.loss import LossConfig
from mrlspk.losses.build import build_loss
from two_processes import in_two

pytestmark = pytest.mark.process

OBJECTIVES = {
    "aam": {"type": "AAMSoftmax"},
    "per_width": {"type": "AAMSoftmax", "class_matrix": "per_width"},
    "sub_centre": {"type": "SubCenter"},
    "batch_hard": {"type": "Triplet", "triplet_mining": "batch_hard"},
    "semi_hard": {"type": "Triplet", "triplet_mining": "semi_hard"},
    "all": {"type": "Triplet", "triplet_mining": "all"},
}
DIMS, WEIGHTS, N_SPEAKERS, STEPS = (2, 4, 8), (1.0, 0.5, 2.0), 5, 4


class Network(nn.Module):
    """A linear layer, then the loss."""

    def __init__(self, keys, weight, gather_rows):
        super().__init__()
        torch.manual_seed(3)
        self.linear = nn.Linear(6, 8)
        self.criterion = build_loss(
            LossConfig(**keys),
            dims=DIMS,
            weights=WEIGHTS,
            n_speakers=N_SPEAKERS,
            distillation_weight=weight,
            seed=7,
            gather_rows=gather_rows,
        )

    def forward(self, pooled, speaker_index, teacher):
        return self.criterion(self.linear(pooled), speaker_index, teacher)


def batch():
    generator = torch.Generator().manual_seed(1)
    speakers = torch.randint(N_SPEAKERS, (16,), generator=generator)
    return torch.randn(16, 6, generator=generator), speakers, torch.randn(16, 11, generator=generator)


def steps(network, rows):
    """Return total, losses by width and gradients, as plain lists, of some passes over a part of the batch."""
    found = []
    for _ in range(STEPS):
        network.zero_grad()
        value = network(*(entry[rows] for entry in batch()))
        value.total.backward()
        gradients = [parameter.grad.tolist() for parameter in network.parameters()]
        found.append((float(value.total.detach()), {dim: float(loss) for dim, loss in value.by_dim.items()}, gradients))
    return found


def shared_steps(ranks, objectives):
    """Return the `steps` of half the batch, by objective."""
    half = slice(8 * ranks.rank, 8 * ranks.rank + 8)
    return {
        name: steps(DistributedDataParallel(Network(*objective, ranks.all_gather_rows)), half)
        for name, objective in objectives.items()
    }


def cases(**keys):
    return {(name, taught): (each | keys, float(taught)) for name, each in OBJECTIVES.items() for taught in (0, 1)}


@pytest.fixture(scope="module")
def found():
    """The steps of all objectives in two processes, without and with draws of widths."""
    objectives = {(case, 0): each for case, each in cases().items()}
    objectives |= {(case, 2): each for case, each in cases(n_dims_per_step=2).items()}
    return objectives, in_two(shared_steps, objectives)


@pytest.mark.parametrize("drawn", [0, 2])
@pytest.mark.parametrize("taught", [0, 1])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_half_batches_match_the_whole_batch(objective, taught, drawn, found):
    objectives, halves = found
    case = (objective, taught), drawn
    whole = steps(Network(*objectives[case], None), slice(None))
    for (total, by_dim, gradients), first, second in zip(whole, *(half[case] for half in halves), strict=True):
        assert (first[0] + second[0]) / 2 == pytest.approx(total, rel=1e-6)
        assert by_dim.keys() == first[1].keys() == second[1].keys()
        for dim, loss in by_dim.items():
            assert (first[1][dim] + second[1][dim]) / 2 == pytest.approx(loss, rel=1e-6)
        for one, averaged, same in zip(gradients, first[2], second[2], strict=True):
            assert averaged == same
            largest = max(1.0, float(torch.tensor(one).abs().max()))
            assert torch.allclose(torch.tensor(averaged), torch.tensor(one), rtol=0, atol=1e-6 * largest)


@pytest.mark.parametrize("mining", ["batch_hard", "semi_hard", "all"])
def test_triplets_span_processes(mining, found):
    for first, second in zip(*(half[(mining, 0), 0] for half in found[1]), strict=True):
        assert first[:2] == second[:2]  # each process has found the same triplets


def test_each_step_draws_other_widths(found):
    drawn = {tuple(by_dim) for _, by_dim, _ in found[1][0][("aam", 0), 2]}
    assert len(drawn) > 1
    assert {len(each) for each in drawn} == {2}
