import pytest
import torch

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.models.encoder import build_encoder

TINY = ReDimNetConfig(F=8, C=4, stages_setup=((1, 1, 1, ((3, 3),), 4),), out_channels=8)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(describe_architecture(TINY, (4, 8))).eval()


def test_forward_is_projection_of_pooled_vectors(encoder):
    waveforms = torch.randn(3, 4000)
    pooled = encoder.pooled(waveforms)
    assert pooled.shape == (3, encoder.pooled_dim)
    assert encoder.pooled_dim == 16  # mean and deviation of 8 channels
    assert torch.equal(encoder(waveforms), encoder.project(pooled))


def test_projection_is_in_float32_under_autocast(encoder):
    pooled = torch.randn(3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder.project(pooled)
    assert torch.equal(found, encoder.project(pooled))


def test_folded_head_gives_the_embedding_in_float64(encoder):
    pooled = torch.randn(5, 16)
    torch.testing.assert_close(encoder.folded_head().apply(pooled).float(), encoder.project(pooled))


def test_rotated_encoder_multiplies_embeddings_by_the_matrix(encoder):
    waveforms = torch.randn(3, 4000)
    swap = torch.eye(8, dtype=torch.float64).flip(0)
    rotated = encoder.rotated(swap.numpy(), (2, 8))
    assert rotated.dims == (2, 8)
    torch.testing.assert_close(rotated(waveforms), encoder(waveforms).flip(1))


def test_copied_head_is_apart_and_draws_no_random_numbers(encoder):
    before = torch.get_rng_state()
    head = encoder.copy_head()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        head.linear.weight.zero_()
    assert encoder.linear_parameters()["weight"].any()
    encoder.load_head(head.state_dict())
    assert not encoder.linear_parameters()["weight"].any()


def test_optimised_encoder_keeps_names_and_embeddings(encoder):
    waveforms = torch.randn(3, 4000)
    names, before = list(encoder.state_dict()), encoder(waveforms)
    encoder.optimise(channels_last=True, compiled=False, recomputed=True)
    assert list(encoder.state_dict()) == names
    assert encoder.backbone.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(encoder(waveforms), before)
