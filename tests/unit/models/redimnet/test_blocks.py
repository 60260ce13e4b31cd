"""Normalisation over channels where its input comes in half precision."""

import pytest
import torch

from mrlspk.models.redimnet.blocks import ChannelNorm


def exact(x, norm):
    """Return the normalisation in float64, by torch's own layer norm."""
    wide = x.double().movedim(1, -1)
    weight, bias = norm.weight.double(), norm.bias.double()
    return torch.nn.functional.layer_norm(wide, (x.shape[1],), weight, bias, norm.eps).movedim(-1, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_channel_norm_computes_in_float32_for_every_dtype(dtype):
    generator = torch.Generator().manual_seed(0)
    norm = ChannelNorm(8)
    norm.weight.data = torch.rand(8, generator=generator)
    norm.bias.data = torch.rand(8, generator=generator)
    x = (30 + torch.randn(2, 8, 3, 5, generator=generator)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        found = norm(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact(x, norm), rtol=1e-4, atol=1e-4)
