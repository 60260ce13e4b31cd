"""The module of a head run."""

import copy

import pytest
import torch
from lightning_fabric import Fabric
from torch.nn import functional

from factories import TINY
from mrlspk.config.architecture import describe_architecture
from mrlspk.config.loss import LossConfig
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import build_encoder
from mrlspk.training.head.module import HeadModule
from mrlspk.training.step import Stepper
from mrlspk.training.trained_module import count_parameters


@pytest.fixture(scope="module")
def published():
    """An encoder whose head has a normalisation of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder(describe_architecture(TINY, (4, 8)))
        norm = encoder.head.norm
        for values, low, high in ((norm.running_mean, -1, 1), (norm.running_var, 0.5, 2), (norm.weight.data, 0.5, 2)):
            values.uniform_(low, high)
    return encoder


def build(published, trained, *, distillation_weight=0.0, **keys):
    torch.manual_seed(1)
    criterion = build_loss(
        LossConfig(**keys), dims=(4, 8), weights=(1.0, 1.0), n_speakers=3, distillation_weight=distillation_weight
    )
    module = HeadModule(copy.deepcopy(published), criterion, trained=trained)
    module.set_start(copy.deepcopy(published.head))
    module.set_mode()
    return module


def pooled(module, n=12):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, module.encoder.head.linear.in_features, generator=generator)


def run_steps(module, n_steps=20, rate=0.05):
    optimiser = torch.optim.AdamW([*module.trained_parameters(), *module.criterion.parameters()], lr=rate)
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    stepper = Stepper(fabric, wrapped, wrapped_optimiser, max_grad_norm=1.0)
    for _ in range(n_steps):
        stepper.step([(pooled(module), torch.arange(12) % 3)])
    return optimiser


def cosines(embedding):
    unit = functional.normalize(embedding, dim=1)
    return unit @ unit.T


def test_trained_rotation_stays_orthogonal(published):
    module = build(published, "orthogonal")
    run_steps(module)
    turn = module.turn.weight.detach()
    assert torch.allclose(turn @ turn.T, torch.eye(8), atol=1e-5)
    assert (turn - torch.eye(8)).abs().max() > 0.01
    vectors = pooled(module)
    before, after = published.eval().head(vectors), module.current_encoder().eval().head(vectors)
    assert torch.allclose(cosines(after), cosines(before), atol=1e-5)
    assert not torch.allclose(cosines(after[:, :4]), cosines(before[:, :4]), atol=1e-3)


def test_encoder_with_folded_rotation_matches_training(published):
    module = build(published, "orthogonal")
    run_steps(module)
    vectors = pooled(module)
    with torch.no_grad():
        expected = module.turn(module.encoder.head(vectors))
        found = module.current_encoder().head(vectors)
    assert torch.allclose(found, expected, atol=1e-5)


def test_whole_layer_moves_and_its_encoder_is_the_trained_one(published):
    module = build(published, "linear")
    run_steps(module)
    assert module.current_encoder() is module.encoder
    moved = moved_entries(module, published)
    assert moved == {"head.linear.weight", "head.linear.bias"}


def moved_entries(module, published):
    before = published.state_dict()
    return {name for name, values in module.encoder.state_dict().items() if not torch.equal(values, before[name])}


@pytest.mark.parametrize("trained", ["orthogonal", "none"])
def test_head_below_a_rotation_or_untrained_stays_bit_for_bit(published, trained):
    module = build(published, trained)
    classes = module.criterion.loss.weight.detach().clone()
    run_steps(module)
    assert moved_entries(module, published) == set()
    assert not torch.equal(module.criterion.loss.weight, classes)


@pytest.mark.parametrize(
    ("trained", "n_of_the_head"),
    [("linear", lambda head: head.linear.weight.numel() + 8), ("orthogonal", lambda _: 64)],
)
def test_trained_values_are_those_of_head_and_classes(published, trained, n_of_the_head):
    module = build(published, trained)
    assert count_parameters(module, trained=True) == n_of_the_head(published.head) + 3 * 8
    n_given = sum(parameter.numel() for parameter in module.trained_parameters())
    assert n_given == n_of_the_head(published.head)


@pytest.mark.parametrize("trained", ["linear", "orthogonal"])
def test_state_comes_back_bit_for_bit(published, trained, tmp_path):
    module = build(published, trained)
    run_steps(module, n_steps=3)
    torch.save(module.entries() | {"model": module.current_encoder().state_dict()}, tmp_path / "state.pt")
    again = build(published, trained)
    again.load_entries(torch.load(tmp_path / "state.pt", weights_only=True))
    for other in (module, again):
        run_steps(other, n_steps=2)
    first, second = module.state_dict(), again.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(second[name], values) for name, values in first.items())


@pytest.mark.parametrize("trained", ["linear", "orthogonal"])
def test_initial_head_teaches_without_teacher_and_is_no_submodule(published, trained):
    module = build(published, trained, distillation_weight=2.0, distillation_temperature=0.5)
    vectors, speaker = pooled(module), torch.arange(12) % 3
    run_steps(module)
    teacher = published.eval().head(vectors).detach()
    assert module(vectors, speaker).total.item() == pytest.approx(module(vectors, speaker, teacher).total.item())
    other = functional.normalize(vectors[:, :5])
    assert module(vectors, speaker, other).total.item() != pytest.approx(module(vectors, speaker).total.item())
    assert not [name for name in module.state_dict() if "start" in name]
    assert torch.equal(teacher, published.eval().head(vectors))
