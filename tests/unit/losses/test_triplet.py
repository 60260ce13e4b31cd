"""Triplet losses against brute force."""

import numpy as np
import pytest
import torch

from mrlspk.losses import TripletLoss

MARGIN = 0.3


def brute_force(embedding, speaker, mining):
    """The mean hinge over the triplets that count, by loops."""
    x = embedding.detach().double().numpy()
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    distance, n = 1 - x @ x.T, len(x)
    own = [[p for p in range(n) if speaker[p] == speaker[a] and p != a] for a in range(n)]
    other = [[q for q in range(n) if speaker[q] != speaker[a]] for a in range(n)]
    hinges = []
    for a in range(n):
        if not (own[a] and other[a]):
            continue
        if mining == "batch_hard":
            far, near = max(distance[a, p] for p in own[a]), min(distance[a, q] for q in other[a])
            hinges.append(max(0.0, MARGIN + far - near))
            continue
        for p in own[a]:
            gaps = [distance[a, q] - distance[a, p] for q in other[a]]
            if mining == "all":
                hinges += [MARGIN - gap for gap in gaps if gap < MARGIN]
            elif semi_hard := [gap for gap in gaps if 0 < gap < MARGIN]:
                hinges.append(MARGIN - min(semi_hard))
    return float(np.mean(hinges)) if hinges else 0.0


@pytest.fixture(params=["batch_hard", "semi_hard", "all"])
def mining(request):
    return request.param


@pytest.mark.parametrize("seed", range(5))
def test_loss_matches_brute_force(mining, seed):
    generator = torch.Generator().manual_seed(seed)
    speaker = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3, 0])  # speaker 3 has no second utterance
    embedding = torch.randn(10, 6, generator=generator) + 0.7 * torch.nn.functional.one_hot(speaker, 6)
    expected = brute_force(embedding, speaker.tolist(), mining)
    assert expected > 0
    assert TripletLoss(MARGIN, mining)(embedding, speaker).item() == pytest.approx(expected, rel=1e-5)


def test_hand_counted_triplet():
    embedding = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    # Anchor 0: own at distance 1, other at 0. Anchor 1: own at 1, other at 1. Anchor 2 has no second utterance.
    loss = TripletLoss(MARGIN, "batch_hard")(embedding, torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx((1.3 + 0.3) / 2)


@pytest.mark.parametrize("speakers", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_batch_without_triplets_is_zero_and_can_be_propagated(mining, speakers):
    embedding = torch.randn(4, 5, requires_grad=True)
    loss = TripletLoss(MARGIN, mining)(embedding, torch.tensor(speakers))
    loss.backward()
    assert loss.item() == 0
    assert embedding.grad.abs().sum() == 0


def test_separated_speakers_cost_nothing(mining):
    embedding = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    assert TripletLoss(MARGIN, mining)(embedding, torch.tensor([0, 0, 1, 1])).item() == 0


def test_equal_embeddings_have_finite_gradients(mining):
    embedding = torch.ones(4, 5, requires_grad=True)
    loss = TripletLoss(MARGIN, mining)(embedding, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embedding.grad).all()


def test_length_of_embeddings_does_not_matter(mining):
    torch.manual_seed(0)
    embedding, speaker = torch.randn(8, 5), torch.arange(8) % 3
    loss = TripletLoss(MARGIN, mining)
    lengths = torch.linspace(0.1, 10, 8).unsqueeze(1)
    assert loss(lengths * embedding, speaker).item() == pytest.approx(loss(embedding, speaker).item(), rel=1e-4)


def test_autocast_does_not_reach_the_loss(mining):
    torch.manual_seed(0)
    embedding, speaker = torch.randn(8, 5), torch.arange(8) % 3
    loss = TripletLoss(MARGIN, mining)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(embedding, speaker)
    assert inside.item() == loss(embedding, speaker).item()
