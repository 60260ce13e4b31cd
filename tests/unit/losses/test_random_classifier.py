"""Expected loss of random classifier weights."""

import math

import pytest
import torch
from torch import nn

from mrlspk.losses import AAMSoftmax, MatryoshkaLoss, TripletLoss, random_class_loss, random_start_loss


def random_classes(n_classes, dim, **options):
    """A loss whose prototypes are random, uniform over directions."""
    loss = AAMSoftmax(n_classes, dim, **options)
    nn.init.normal_(loss.weight)
    return loss


@pytest.mark.parametrize("n_classes", [268, 2000])
@pytest.mark.parametrize("dim", [16, 64, 192])
@pytest.mark.parametrize("options", [{}, {"n_subcenters": 3}, {"easy_margin": True}], ids=str)
def test_estimate_matches_random_unit_vectors(n_classes, dim, options):
    torch.manual_seed(0)
    loss = random_classes(n_classes, dim, margin=0.2, scale=30.0, **options)
    measured = loss(torch.randn(512, dim), torch.randint(n_classes, (512,))).item()
    expected = random_class_loss(n_classes, scale=30.0, margin=0.2, dim=dim, **options)
    assert measured == pytest.approx(expected, rel=0.05)


def test_random_loss_nears_the_closed_form_at_large_widths():
    closed_form = math.log(6000) + 30 * math.sin(0.2) + 30**2 / (2 * 512)
    assert random_class_loss(6000, scale=30.0, margin=0.2, dim=512) == pytest.approx(closed_form, rel=0.005)


def test_random_start_is_weighted_mean_over_widths():
    torch.manual_seed(0)
    criterion = MatryoshkaLoss(random_classes(500, 192, margin=0.1, scale=20.0), (32, 64, 192), (1.0, 2.0, 4.0))
    measured = criterion(torch.randn(512, 192), torch.randint(500, (512,))).total.item()
    assert random_start_loss(criterion) == pytest.approx(measured, rel=0.03)


def test_random_start_follows_the_present_margin():
    criterion = MatryoshkaLoss(AAMSoftmax(500, 64, margin=0.2, scale=30.0), (64,), (1.0,))
    with_margin = random_start_loss(criterion)
    criterion.loss.margin = 0.0
    assert with_margin - random_start_loss(criterion) == pytest.approx(30 * math.sin(0.2), rel=0.03)


def test_trained_classes_lie_far_below_the_estimate():
    torch.manual_seed(0)
    centres, speaker = torch.randn(50, 64), torch.arange(500) % 50
    loss = AAMSoftmax(50, 64, margin=0.2, scale=30.0)
    loss.weight.data = centres.clone()
    trained = loss(centres[speaker] + 0.3 * torch.randn(500, 64), speaker).item()
    assert trained < 0.2 * random_class_loss(50, scale=30.0, margin=0.2, dim=64)


def test_triplets_have_no_classes_to_be_random():
    assert random_start_loss(MatryoshkaLoss(TripletLoss(0.3, "all"), (64,), (1.0,))) is None


@pytest.mark.parametrize(("n_classes", "dim"), [(1, 64), (2, 1), (2, 2)])
def test_estimate_is_finite_at_the_smallest_sizes(n_classes, dim):
    assert math.isfinite(random_class_loss(n_classes, scale=30.0, margin=0.2, dim=dim))
