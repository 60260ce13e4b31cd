"""Distillation of similarities."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from mrlspk.losses import AAMSoftmax, MatryoshkaLoss
from mrlspk.losses.distillation import SimilarityDistillation

TEMPERATURE = 0.5


def draw(width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(6, width))).float()


def divergence(student, teacher):
    loss = SimilarityDistillation(TEMPERATURE)
    return loss(student, loss.ranking(teacher))


def by_loop(student, teacher, temperature):
    """The mean divergence, crop by crop, by scipy's definition of relative entropy."""
    divergences = []
    for row in range(len(student)):
        others = [index for index in range(len(student)) if index != row]
        ranks = []
        for vectors in (teacher, student):
            unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            ranks.append(softmax(unit[others] @ unit[row] / temperature))
        divergences.append(rel_entr(*ranks).sum())
    return np.mean(divergences)


def test_distillation_is_the_mean_divergence_of_rankings():
    student, teacher = draw(4), draw(9, seed=1)
    expected = by_loop(student.double().numpy(), teacher.double().numpy(), TEMPERATURE)
    assert divergence(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_distillation_of_equal_similarities_is_zero():
    student = draw(4)
    rotated = student @ torch.linalg.qr(draw(6, seed=2)[:, :4])[0].T  # in six values, at the same angles
    assert divergence(student, rotated).item() == pytest.approx(0, abs=1e-6)


def test_distillation_ignores_lengths():
    student, teacher = draw(4), draw(9, seed=1)
    lengths = torch.tensor([[0.1], [1.0], [7.0], [2.0], [0.5], [30.0]])
    assert divergence(lengths * student, 3 * teacher).item() == pytest.approx(
        divergence(student, teacher).item(), rel=1e-5
    )


def test_gradient_goes_to_the_student_alone():
    student, teacher = draw(4).requires_grad_(), draw(9, seed=1).requires_grad_()
    divergence(student, teacher).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_every_width_is_taught_by_its_weight():
    student, teacher, speaker = draw(6), draw(9, seed=1), torch.arange(6) % 3
    loss, taught = AAMSoftmax(3, 6, margin=0.2, scale=4.0), SimilarityDistillation(TEMPERATURE)
    criterion = MatryoshkaLoss(loss, (2, 6), (1.0, 3.0), distillation=taught, distillation_weight=0.5)
    value, without = criterion(student, speaker, teacher), criterion(student, speaker)
    added = 0.5 * (divergence(student[:, :2], teacher) + 3 * divergence(student, teacher)) / 4
    assert (value.total - without.total).item() == pytest.approx(added.item(), rel=1e-4)
    assert value.by_dim == without.by_dim  # of the objective alone
