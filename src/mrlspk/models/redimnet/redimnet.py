"""ReDimNet: alternate 2-D and 1-D blocks on one stream that changes its shape but not its size.

Yakovlev et al. 2024, "Reshape Dimensions Network for Speaker Recognition", arXiv:2407.18223. A stage reads a learned
mixture of all streams before it, as (channels, bands, frames); its convolutions trade bands for channels, so that
channels x bands stays; its end is the 1-D stream (channels x bands, frames) again, on which a time-context block works.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from mrlspk.models.redimnet.blocks import (
    ChannelNorm,
    TimeContextBlock,
    To1d,
    To2d,
    WeightedSum,
    conv_block_2d,
    count_groups,
)
from mrlspk.models.redimnet.execution import Calls, Streams

type Stage = tuple[int, int, int, tuple[tuple[int, int], ...], int | None]


class ReDimNet(nn.Module):
    """Backbone that keeps the number of frames.

    Args:
        n_mels: Bands of the input.
        channels: Channels of the stem; the 1-D stream is ``channels * n_mels`` wide.
        stages: Per stage frequency stride, number of 2-D blocks, channel expansion, kernel sizes, 1-D reduction.
        block_1d_type: ``conv``, ``att``, ``conv+att`` or ``fc``.
        block_2d_type: ``convnext_like``, ``convnext_like_relu``, ``basic_resnet`` or ``basic_resnet_fwse``.
        group_divisor: Channels per group of the 2-D convolutions; None for dense ones.
        out_channels: Width of a final 1 x 1 convolution; None for none.
        dropout: Probability to drop a value of a stage's output in training.

    Attributes:
        calls: How its parts are called; may be replaced at any time.
    """

    time_stride = 1

    def __init__(
        self,
        n_mels: int,
        channels: int,
        stages: Sequence[Stage],
        *,
        block_1d_type: str,
        block_2d_type: str,
        group_divisor: int | None,
        out_channels: int | None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = n_mels * channels
        self.n_stages, self.dropout, self.calls = len(stages), dropout, Calls()
        self.out_channels = out_channels or width
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding="same"), ChannelNorm(channels), To1d())
        bands = n_mels
        for index, (stride, n_blocks, expansion, _, reduction) in enumerate(stages):
            layers = [WeightedSum(index + 1, width if index else 1), To2d(bands, channels)]
            wide = stride * channels * expansion
            layers.append(nn.Conv2d(channels, wide, (stride, 1), (stride, 1)))
            channels, bands = channels * stride, bands // stride
            layers += [conv_block_2d(wide, bands, block_2d_type, group_divisor) for _ in range(n_blocks)]
            if expansion != 1:
                layers.append(_squeeze(wide, channels, group_divisor))
            layers.append(To1d())
            if reduction is not None:
                layers.append(TimeContextBlock(width, width // reduction, block_1d_type))
            self.add_module(f"stage{index}", nn.Sequential(*layers))
        self.fin_wght1d = WeightedSum(len(stages) + 1, width)
        self.mfa = (
            nn.Identity()
            if out_channels is None
            else nn.Sequential(nn.Conv1d(width, out_channels, 1), nn.BatchNorm1d(out_channels))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, mels, frames) to (batch, out_channels, frames)."""
        streams = [self.calls.call(self.stem, features.unsqueeze(1))]
        for index in range(self.n_stages):
            streams += self._run_stage(f"stage{index}", streams)
        return self.calls.call(self.mfa, self.fin_wght1d(streams))

    def _run_stage(self, name: str, streams: Sequence[Tensor]) -> list[Tensor]:
        stage = self.get_submodule(name)

        def run(streams: Streams) -> list[Tensor]:
            return [functional.dropout(self.calls.call(stage, streams), self.dropout, self.training)]

        return self.calls.stage(run, [stage], streams)


def _squeeze(wide: int, channels: int, group_divisor: int | None) -> nn.Module:
    """Return the layers that reduce the expanded channels of a stage to those of the 1-D stream."""
    return nn.Sequential(
        nn.Conv2d(wide, channels, 3, padding="same", groups=count_groups(channels, group_divisor)),
        nn.BatchNorm2d(channels, eps=1e-6),
        nn.GELU(),
        nn.Conv2d(channels, channels, 1),
    )
