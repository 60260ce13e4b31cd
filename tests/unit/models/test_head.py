import torch

from mrlspk.models.head import MatryoshkaHead


def test_head_maps_pooled_values_to_the_full_width():
    assert MatryoshkaHead(6, 4)(torch.randn(5, 6)).shape == (5, 4)
