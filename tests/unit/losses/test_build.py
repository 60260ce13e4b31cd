"""Losses built from section ``loss``."""

import pytest
import torch

from mrlspk.config.loss import LossConfig
from mrlspk.losses import AAMSoftmax, TripletLoss, build_loss


def build(**keys):
    return build_loss(LossConfig(**keys), dims=(4, 8), weights=(1.0, 2.0), n_speakers=5)


def test_margin_softmax_takes_its_keys():
    loss = build(margin=0.35, scale=12.0, easy_margin=True, num_subcenters=4).loss
    assert isinstance(loss, AAMSoftmax)
    assert (loss.margin, loss.scale, loss.easy_margin, loss.n_subcenters) == (0.35, 12.0, True, 1)
    assert loss.weight.shape == (5, 8)


def test_subcentres_multiply_the_class_weights():
    loss = build(type="SubCenter", num_subcenters=4).loss
    assert loss.weight.shape == (20, 8)


def test_triplet_takes_its_keys():
    loss = build(type="Triplet", triplet_margin=0.45, triplet_mining="semi_hard", margin=0.1).loss
    assert isinstance(loss, TripletLoss)
    assert (loss.margin, loss.mining) == (0.45, "semi_hard")


def test_widths_keep_their_weights():
    assert build().weight_of == {4: 1.0, 8: 2.0}


@pytest.mark.parametrize("kind", ["AAMSoftmax", "SubCenter", "Triplet"])
def test_every_loss_trains_under_matryoshka(kind):
    torch.manual_seed(0)
    criterion = build(type=kind)
    embedding = torch.randn(10, 8, requires_grad=True)
    criterion(embedding, torch.arange(10) % 5).total.backward()
    assert torch.isfinite(embedding.grad).all()
    assert embedding.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in criterion.parameters())
