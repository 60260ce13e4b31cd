import pytest
import torch

from mrlspk.models.head import MatryoshkaHead, truncate


def test_prefix_is_cut_first_and_normalised_then():
    assert truncate(torch.tensor([[3.0, 4.0, 12.0]]), 2).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]


@pytest.mark.parametrize("dim", [0, 4])
def test_width_outside_the_embedding_is_refused(dim):
    with pytest.raises(ValueError, match="cannot be cut from 3 values"):
        truncate(torch.zeros(3), dim)


def test_head_maps_pooled_values_to_the_full_width():
    assert MatryoshkaHead(6, 4)(torch.randn(5, 6)).shape == (5, 4)
