"""Margin loss at several widths: margin shares, and class matrices by width."""

import math

import numpy as np
import pytest
import torch

from mrlspk.config.loss import LossConfig
from mrlspk.losses import AAMSoftmax, MatryoshkaLoss, build_loss


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def loss_by_hand(embedding, classes, speaker, *, margin, scale):
    cosine = unit(embedding) @ unit(classes).T
    losses = []
    for row, own in zip(cosine, speaker, strict=True):
        logits = scale * row
        logits[own] = scale * math.cos(math.acos(row[own]) + margin)
        losses.append(math.log(np.exp(logits).sum()) - logits[own])
    return np.mean(losses)


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    return rng.normal(size=(5, 6)), np.array([0, 1, 2, 1, 0]), rng.normal(size=(3, 6))


@pytest.mark.parametrize(("dim", "margin"), [(2, 0.0), (4, 0.1), (6, 0.2)])
def test_each_width_has_its_share_of_the_margin(batch, dim, margin):
    embedding, speaker, classes = batch
    loss = AAMSoftmax(3, 6, margin=0.2, scale=4.0, margin_shares={2: 0.0, 4: 0.5})
    loss.weight.data = torch.from_numpy(classes)
    found = loss(torch.from_numpy(embedding[:, :dim]), torch.from_numpy(speaker)).item()
    assert loss.margin_at(dim) == pytest.approx(margin)
    expected = loss_by_hand(embedding[:, :dim], classes[:, :dim], speaker, margin=margin, scale=4.0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_margin_shares_follow_the_current_margin():
    loss = AAMSoftmax(3, 6, margin=0.2, scale=4.0, margin_shares={4: 0.5})
    loss.margin = 0.12
    assert (loss.margin_at(4), loss.margin_at(6)) == (0.06, 0.12)


@pytest.mark.parametrize("n_subcenters", [1, 2])
def test_own_matrices_are_independent_losses_of_their_width(batch, n_subcenters):
    embedding, speaker = (torch.from_numpy(values) for values in batch[:2])
    options = {"margin": 0.2, "scale": 8.0, "n_subcenters": n_subcenters}
    dims, weights = (2, 4, 6), (1.0, 2.0, 3.0)
    together = MatryoshkaLoss(AAMSoftmax(3, 6, **options, own_dims=dims), dims, weights)
    assert together.loss.weight.shape == (3 * n_subcenters, 12)
    apart, column = {}, 0
    for dim in dims:
        apart[dim] = AAMSoftmax(3, dim, **options)
        apart[dim].weight.data = together.loss.weight.data[:, column : column + dim].clone()
        column += dim
    value = together(embedding, speaker)
    value.total.backward()
    singles = {dim: loss(embedding[:, :dim], speaker) for dim, loss in apart.items()}
    total = sum(weight * singles[dim] for dim, weight in zip(dims, weights, strict=True)) / 6
    total.backward()
    assert {dim: part.item() for dim, part in value.by_dim.items()} == pytest.approx(
        {dim: single.item() for dim, single in singles.items()}
    )
    assert value.total.item() == pytest.approx(total.item(), rel=1e-6)
    gradient = torch.cat([loss.weight.grad for loss in apart.values()], dim=1)
    assert torch.allclose(together.loss.weight.grad, gradient, atol=1e-7)


def test_width_without_a_matrix_of_its_own_is_an_error():
    loss = AAMSoftmax(3, 6, margin=0.2, scale=8.0, own_dims=(2, 6))
    with pytest.raises(KeyError):
        loss(torch.randn(2, 4), torch.tensor([0, 1]))


@pytest.mark.parametrize(("kind", "n_rows"), [("AAMSoftmax", 5), ("SubCenter", 10)])
def test_configuration_gives_shares_and_matrices(kind, n_rows):
    config = LossConfig(type=kind, num_subcenters=2, margin=0.4, margin_shares={4: 0.25}, class_matrix="per_width")
    loss = build_loss(config, dims=(4, 8), weights=(1.0, 2.0), n_speakers=5).loss
    assert loss.weight.shape == (n_rows, 12)
    assert (loss.margin_at(4), loss.margin_at(8)) == (0.1, 0.4)
    assert (loss.columns(4), loss.columns(8)) == (slice(0, 4), slice(4, 12))
