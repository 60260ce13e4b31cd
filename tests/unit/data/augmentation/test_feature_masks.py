import numpy as np
import pytest

from mrlspk.data.augmentation.feature_masks import FeatureMasks


def test_masks_have_every_width_up_to_the_widest_and_every_place():
    masks, rng = FeatureMasks(1.0, n_band_masks=2, max_bands=3, n_frame_masks=1, max_frames=5), np.random.default_rng(0)
    drawn = [masks.draw(rng) for _ in range(400)]
    assert {tuple(bands.shape) for bands, _ in drawn} == {(2, 2)}
    assert {tuple(frames.shape) for _, frames in drawn} == {(1, 2)}
    assert {int(width) for bands, _ in drawn for width in bands[:, 1]} == {0, 1, 2, 3}
    assert {int(width) for _, frames in drawn for width in frames[:, 1]} == {0, 1, 2, 3, 4, 5}
    places = np.array([frames[0, 0] for _, frames in drawn])
    assert 0 <= places.min() < 0.02
    assert 0.98 < places.max() < 1


def test_share_of_the_crops_is_masked():
    masks, rng = (
        FeatureMasks(0.25, n_band_masks=0, max_bands=1, n_frame_masks=4, max_frames=9),
        np.random.default_rng(0),
    )
    is_masked = [masks.draw(rng)[1][:, 1].any().item() for _ in range(2_000)]
    assert np.mean(is_masked) == pytest.approx(0.25, abs=0.04)
