"""Networks laid out in rows against the networks that they were made from."""

import pytest
import torch
from torch import nn

from mrlspk.models.export.folding import fold
from mrlspk.models.export.rows import in_rows
from mrlspk.models.redimnet.redimnet import ReDimNet
from mrlspk.models.redimnet.redimnet2 import ReDimNet2

KERNELS = ((3, 3),)
ROOM = {"block_2d_type": "convnext_like", "group_divisor": 2, "out_channels": 12}
POOLED = [((2, 2), 1, 2, KERNELS, 4), ((1, 2), 1, 1, KERNELS, None)]
NETWORKS = {
    "conv+att": ReDimNet(8, 4, [(1, 1, 2, KERNELS, 4), (2, 1, 1, KERNELS, 2)], block_1d_type="conv+att", **ROOM),
    "att, all streams returned": ReDimNet(
        8, 4, [(2, 1, 1, KERNELS, 4)], block_1d_type="att", **ROOM | {"out_channels": None}
    ),
    "fc, pooled time": ReDimNet2(8, 4, POOLED, block_1d_type="fc", **ROOM),
    "normalised dual streams": ReDimNet2(
        8, 4, POOLED, block_1d_type="conv", dual_streams=True, norm_streams=True, embed_bands=True, **ROOM
    ),
    "final images": ReDimNet2(8, 4, POOLED, block_1d_type="att", final_2d=True, **ROOM),
}


def with_statistics(network):
    """Give every parameter and every BatchNorm values of its own."""
    generator = torch.Generator().manual_seed(7)
    for values in network.state_dict().values():
        if values.is_floating_point():
            values.add_(torch.rand(values.shape, generator=generator) / 2)
    return network.eval()


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_network_in_rows_gives_the_same_frames(network):
    network, features = with_statistics(network), torch.randn(2, 8, 24, generator=torch.Generator().manual_seed(3))
    rows = in_rows(fold(network))
    assert not any(isinstance(module, nn.Conv1d | nn.Linear | nn.LayerNorm) for module in rows.modules())
    with torch.no_grad():
        expected, found = network(features), rows(features)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
