import numpy as np
import torch

from mrlspk.data.augmentation.noise import GaussianNoise
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.augmentation.volume import Volume
from noise_recordings import noise


def test_each_step_augments_its_share_of_crops():
    augmentation = Augmentation((Volume(0.25, (6.0, 6.0)),))
    rng = np.random.default_rng(0)
    louder = sum(augmentation(torch.ones(1), rng).item() > 1 for _ in range(2_000))
    assert abs(louder / 2_000 - 0.25) < 0.04  # four standard deviations


def test_equal_generators_augment_equally():
    augmentation = Augmentation((GaussianNoise(0.5, (0.0, 20.0)), Volume(0.5, (-6.0, 6.0))))
    results = [augmentation(noise(100), np.random.default_rng(7)) for _ in range(2)]
    assert torch.equal(*results)


def test_volume_changes_by_decibels():
    louder = Augmentation((Volume(1.0, (6.0, 6.0)),))(noise(100), np.random.default_rng(0))
    assert torch.allclose(louder, noise(100) * 1.9952623)


def test_augmentation_leaves_the_crop_that_it_is_given_as_it_is():
    crop = noise(100)
    Augmentation((GaussianNoise(1.0, (0.0, 0.0)), Volume(1.0, (6.0, 6.0))))(crop, np.random.default_rng(0))
    assert torch.equal(crop, noise(100))
