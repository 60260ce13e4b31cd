"""Margin softmax against hand computation and the formula in angles."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from mrlspk.losses import AAMSoftmax

MARGIN, SCALE = 0.2, 30.0


def aam(n_classes=5, embed_dim=8, **options):
    torch.manual_seed(0)
    return AAMSoftmax(n_classes, embed_dim, **{"margin": MARGIN, "scale": SCALE} | options)


def batch(n=6, dim=8, n_classes=5):
    generator = torch.Generator().manual_seed(1)
    embedding = torch.randn(n, dim, generator=generator)
    return embedding, torch.randint(n_classes, (n,), generator=generator)


def loss_by_angles(embedding, weight, speaker_index, margin, scale):
    """The paper's formula in double precision, through the angle itself."""
    x, w = embedding.detach().double(), weight.detach().double()
    angle = torch.acos((x / x.norm(dim=1, keepdim=True)) @ (w / w.norm(dim=1, keepdim=True)).T)
    own = functional.one_hot(speaker_index, len(w)).bool()
    beyond = torch.cos(angle) - margin * math.sin(margin)
    shifted = torch.where(angle + margin < math.pi, torch.cos(angle + margin), beyond)
    return functional.cross_entropy(scale * torch.where(own, shifted, torch.cos(angle)), speaker_index)


def test_loss_matches_hand_computation_in_two_dimensions():
    loss = AAMSoftmax(2, 2, margin=0.2, scale=4.0)
    loss.weight.data = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    angle = 0.7  # from class 0; class 1 stands at a right angle to it
    embedding = 2 * torch.tensor([[math.cos(angle), math.sin(angle)]])
    own, other = math.exp(4 * math.cos(angle + 0.2)), math.exp(4 * math.sin(angle))
    assert loss(embedding, torch.tensor([0])).item() == pytest.approx(-math.log(own / (own + other)), rel=1e-6)


@pytest.mark.parametrize("margin", [0.1, 0.2, 0.5])
def test_loss_matches_the_formula_in_angles(margin):
    loss, (embedding, speaker) = aam(margin=margin), batch()
    expected = loss_by_angles(embedding, loss.weight, speaker, margin, SCALE)
    assert loss(embedding, speaker).item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradient_matches_the_formula_in_numbers():
    loss, (embedding, speaker) = aam(), batch()
    loss(embedding.requires_grad_(), speaker).backward()
    step, shift = 1e-5, torch.zeros(6, 8, dtype=torch.float64)
    shift[2, 3] = step
    weight = loss.weight
    up = loss_by_angles(embedding.detach() + shift, weight, speaker, MARGIN, SCALE)
    down = loss_by_angles(embedding.detach() - shift, weight, speaker, MARGIN, SCALE)
    assert embedding.grad[2, 3].item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-3)


def test_no_margin_is_softmax_of_scaled_cosines():
    loss, (embedding, speaker) = aam(margin=0.0), batch()
    cosine = functional.cosine_similarity(embedding.unsqueeze(1), loss.weight.unsqueeze(0), dim=2)
    expected = functional.cross_entropy(SCALE * cosine, speaker)
    assert loss(embedding, speaker).item() == pytest.approx(expected.item(), rel=1e-5)


def test_margin_can_be_changed():
    loss, (embedding, speaker) = aam(margin=0.0), batch()
    loss.margin = MARGIN
    assert loss(embedding, speaker).item() == aam()(embedding, speaker).item()


def test_prefix_uses_the_first_columns_normalised_after_cutting():
    loss, (embedding, speaker) = aam(), batch()
    narrow = AAMSoftmax(5, 3, margin=MARGIN, scale=SCALE)
    narrow.weight.data = loss.weight.data[:, :3].clone()
    assert loss(embedding[:, :3], speaker).item() == pytest.approx(narrow(embedding[:, :3], speaker).item(), rel=1e-6)


def test_prefix_leaves_later_columns_without_gradient():
    loss, (embedding, speaker) = aam(), batch()
    loss(embedding[:, :3], speaker).backward()
    assert loss.weight.grad[:, 3:].abs().sum() == 0
    assert (loss.weight.grad[:, :3].abs().sum(dim=1) > 0).all()


def test_equal_subcentres_are_one_centre():
    single, threefold = aam(), aam(n_subcenters=3)
    threefold.weight.data = single.weight.data.repeat_interleave(3, dim=0)
    embedding, speaker = batch()
    assert threefold(embedding, speaker).item() == pytest.approx(single(embedding, speaker).item(), rel=1e-6)


@pytest.mark.parametrize("dim", [3, 8])
def test_subcentres_take_the_nearest_centre_of_each_class(dim):
    loss, (embedding, speaker) = aam(n_subcenters=2), batch()
    x, w = embedding[:, :dim].numpy(), loss.weight.detach().numpy()[:, :dim]
    expected = np.empty((6, 5))
    for row in range(6):
        for index in range(5):
            centres = w[2 * index], w[2 * index + 1]
            expected[row, index] = max(c @ x[row] / np.linalg.norm(c) / np.linalg.norm(x[row]) for c in centres)
    np.testing.assert_allclose(loss.class_cosines(embedding[:, :dim]).detach().numpy(), expected, atol=1e-6)
    assert torch.isfinite(loss(embedding[:, :dim], speaker))


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5, 1.0])
def test_shifted_cosine_never_rises_with_the_angle(margin):
    cosine = torch.cos(torch.linspace(0, math.pi, 2001, dtype=torch.float64))
    shifted = aam(margin=margin).add_margin(cosine, MARGIN)
    assert (shifted.diff() <= 1e-12).all()
    assert (shifted <= cosine + 1e-12).all()


def test_easy_margin_leaves_negative_cosines_alone():
    cosine = torch.tensor([-0.9, -0.1, 0.1, 0.9])
    expected = [-0.9, -0.1, math.cos(math.acos(0.1) + MARGIN), math.cos(math.acos(0.9) + MARGIN)]
    assert aam(easy_margin=True).add_margin(cosine, MARGIN).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradient_is_finite_on_and_opposite_the_class_centre(sign):
    loss = aam(embed_dim=4)
    embedding = (sign * loss.weight.detach()).requires_grad_()
    loss(embedding, torch.arange(5)).backward()
    assert torch.isfinite(embedding.grad).all()
    assert torch.isfinite(loss.weight.grad).all()


def test_autocast_does_not_reach_the_loss():
    loss, (embedding, speaker) = aam(), batch()
    plain = loss(embedding, speaker)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(embedding, speaker)
    assert inside.dtype == torch.float32
    assert inside.item() == plain.item()


def test_half_precision_embeddings_are_widened():
    loss, (embedding, speaker) = aam(), batch()
    assert loss(embedding.bfloat16(), speaker).dtype == torch.float32


def test_descent_on_the_loss_finds_the_speakers():
    torch.manual_seed(0)
    centres = torch.randn(5, 8)
    speaker = torch.arange(50) % 5
    embedding = centres[speaker] + 0.1 * torch.randn(50, 8)
    loss = aam()
    optimiser = torch.optim.SGD(loss.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        loss(embedding, speaker).backward()
        optimiser.step()
    assert loss.class_cosines(embedding).argmax(dim=1).equal(speaker)
