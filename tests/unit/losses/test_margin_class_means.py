"""Prototypes set to class means."""

import numpy as np
import pytest
import torch

from mrlspk.losses import AAMSoftmax
from mrlspk.losses.margin import CENTRE_SPREAD, set_class_means


def means_by_loop(embeddings, speaker, n_classes):
    means = []
    for class_ in range(n_classes):
        own = [
            vector / np.linalg.norm(vector)
            for vector, index in zip(embeddings, speaker, strict=True)
            if index == class_
        ]
        mean = np.sum(own, axis=0)
        means.append(mean / np.linalg.norm(mean))
    return np.array(means)


@pytest.fixture
def embedded():
    rng = np.random.default_rng(0)
    return 5 * rng.normal(size=(9, 6)), np.array([2, 0, 1, 1, 0, 2, 2, 0, 1])


def aam(**options):
    return AAMSoftmax(3, 6, **{"margin": 0.2, "scale": 30.0} | options)


def start(loss, embedded):
    embeddings, speaker = embedded
    set_class_means(loss, torch.from_numpy(embeddings), torch.from_numpy(speaker))
    return loss.weight.detach().double().numpy()


def test_weights_are_the_mean_directions_of_the_classes(embedded):
    assert np.allclose(start(aam(), embedded), means_by_loop(*embedded, 3), atol=1e-6)


def test_matrix_of_each_width_has_the_means_of_that_prefix(embedded):
    weight = start(aam(own_dims=(2, 6)), embedded)
    embeddings, speaker = embedded
    assert np.allclose(weight[:, :2], means_by_loop(embeddings[:, :2], speaker, 3), atol=1e-6)
    assert np.allclose(weight[:, 2:], means_by_loop(embeddings, speaker, 3), atol=1e-6)


def test_sub_centres_start_near_the_mean_and_differ(embedded):
    torch.manual_seed(0)
    weight = start(aam(n_subcenters=2), embedded)
    moved = weight - means_by_loop(*embedded, 3).repeat(2, axis=0)
    assert np.allclose(np.linalg.norm(moved, axis=1), CENTRE_SPREAD, atol=1e-5)
    assert not np.allclose(weight[::2], weight[1::2], atol=1e-3)


@pytest.mark.parametrize("speaker", [[0, 0, 1], [0, 1, 3], [0, 1, 1]])
def test_class_without_an_embedding_is_refused(speaker):
    with pytest.raises(ValueError, match="each of 3 classes"):
        set_class_means(aam(), torch.randn(3, 6), torch.tensor(speaker))


def test_class_means_keep_the_parameter_of_the_optimiser(embedded):
    loss = aam()
    before = loss.weight
    start(loss, embedded)
    assert loss.weight is before
    assert loss.weight.requires_grad
