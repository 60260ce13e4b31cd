import pytest
import torch

from factories import tiny_encoder
from mrlspk.models.feature_masks import mask_features


def masks(*rows):
    return torch.tensor([rows], dtype=torch.float32)


def test_masks_hide_bands_and_frames_from_their_place_on():
    features = torch.ones(1, 10, 20)
    masked = mask_features(features, (masks([0.0, 2.0]), masks([0.999, 3.0], [0.5, 1.0])))[0]
    hidden = masked == 0
    assert hidden.all(dim=1).nonzero().ravel().tolist() == [0, 1]
    assert hidden.all(dim=0).nonzero().ravel().tolist() == [10, 17, 18, 19]
    assert int(hidden.sum()) == 2 * 20 + 4 * 8
    assert torch.equal(features, torch.ones(1, 10, 20))


@pytest.mark.parametrize(("width", "n_hidden"), [(0.0, 0), (4.0, 4), (50.0, 6)])
def test_mask_is_no_wider_than_the_features(width, n_hidden):
    masked = mask_features(torch.ones(1, 6, 3), (masks([0.7, width]), masks([0.7, 0.0])))
    assert int((masked[0] == 0).all(dim=1).sum()) == n_hidden


def test_each_crop_of_a_batch_has_its_own_masks():
    bands = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]])
    masked = mask_features(torch.ones(2, 4, 3), (bands, torch.zeros(2, 1, 2)))
    assert [int((each == 0).sum()) for each in masked] == [3, 0]


def test_encoder_masks_features_while_its_backbone_is_trained_alone():
    encoder, waveform = tiny_encoder((4, 8)).eval(), torch.randn(2, 4_000, generator=torch.Generator().manual_seed(0))
    some = torch.tensor([[[0.0, 4.0]]]).expand(2, 1, 2), torch.zeros(2, 1, 2)
    with torch.no_grad():
        plain = encoder(waveform)
        assert torch.equal(encoder(waveform, some), plain)
        encoder.backbone.train()
        trained = encoder(waveform)
        assert not torch.equal(encoder(waveform, some), trained)
        none = torch.zeros(2, 1, 2), torch.zeros(2, 1, 2)
        assert torch.equal(encoder(waveform, none), trained)
