"""ReDimNet2: a ReDimNet whose stages also pool time, and upsample their output to the full frame rate.

ReDimNet2 2026, "Scaling Speaker Verification via Time-Pooled Dimension Reshaping", arXiv:2603.11841. A stage reads a
learned mixture of all streams before it; a strided convolution lowers its bands and its frames; its output is repeated
over time until it fits the other streams again. The time strides of stages multiply: each stage pools the full rate.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from mrlspk.models.redimnet.blocks import ChannelNorm, TimeContextBlock, To1d, To2d, WeightedSum, conv_block_2d
from mrlspk.models.redimnet.execution import Calls, Streams

type Stage2 = tuple[tuple[int, int], int, float, tuple[tuple[int, int], ...], int | None]


class BandEmbedding(nn.Module):
    """Adds a learned vector per band to (batch, channels, bands, frames)."""

    def __init__(self, channels: int, n_bands: int) -> None:
        super().__init__()
        self.freq_embedder = nn.Embedding(n_bands, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        return x + self.freq_embedder.weight.T.unsqueeze(-1)


class ReDimNet2(nn.Module):
    """Backbone with time pooling.

    Args:
        n_mels: Bands of the input.
        channels: Channels of the stem; the 1-D streams are ``channels * n_mels`` wide.
        stages: Per stage frequency and time stride, 2-D blocks, channel expansion, kernel sizes, 1-D reduction.
        block_1d_type: ``conv``, ``att``, ``conv+att`` or ``fc``.
        block_2d_type: ``convnext_like``, ``convnext_like_relu``, ``basic_resnet`` or ``basic_resnet_fwse``.
        group_divisor: Channels per group of the 2-D convolutions; None for dense ones.
        out_channels: Width of a final 1 x 1 convolution; None for none.
        final_2d: Apply that convolution to (channels, bands, frames); its output then counts once per band.
        grouped_strides: Group the strided convolutions as far as their channels allow.
        embed_bands: Add a learned vector per band at each stage.
        dual_streams: A stage with a 1-D block gives two streams, one before that block and one after it.
        norm_streams: Normalise each stream, in one group per channel of the stem.

    Attributes:
        calls: How its parts are called; may be replaced at any time.
    """

    def __init__(
        self,
        n_mels: int,
        channels: int,
        stages: Sequence[Stage2],
        *,
        block_1d_type: str,
        block_2d_type: str,
        group_divisor: int | None,
        out_channels: int | None,
        final_2d: bool = False,
        grouped_strides: bool = True,
        embed_bands: bool = False,
        dual_streams: bool = False,
        norm_streams: bool = False,
    ) -> None:
        super().__init__()
        self.width = width = n_mels * channels
        self.n_stages, self.time_stride = len(stages), math.prod(strides[1] for strides, *_ in stages)
        self._n_groups, self.calls = channels if norm_streams else 0, Calls()
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding="same"), ChannelNorm(channels), To1d())
        self.stem_gnorm = self._norm()
        bands, time_stride, n_streams = n_mels, 1, 1
        for index, (strides, n_blocks, expansion, kernel_sizes, reduction) in enumerate(stages):
            time_stride *= strides[1]
            stride = (strides[0], time_stride)
            wide = int(strides[0] * channels * expansion)
            layers: list[nn.Module] = [WeightedSum(n_streams, width), To2d(bands, channels)]
            layers += [BandEmbedding(channels, bands)] if embed_bands else []
            groups = math.gcd(channels, wide) if grouped_strides else 1
            layers.append(nn.Conv2d(channels, wide, stride, stride, groups=groups))
            channels, bands = channels * strides[0], bands // strides[0]
            layers += [
                conv_block_2d(wide, bands, block_2d_type, group_divisor, kernel_sizes=kernel_sizes)
                for _ in range(n_blocks)
            ]
            if expansion != 1:
                layers.append(nn.Sequential(nn.Conv2d(wide, channels, 1), nn.BatchNorm2d(channels, eps=1e-6)))
            layers.append(To1d())
            context = None if reduction is None else TimeContextBlock(width, width // reduction, block_1d_type)
            n_streams += self._add_stage(f"stage{index}", layers, context, time_stride, dual=dual_streams)
        self.fin_wght1d = WeightedSum(n_streams, width)
        self.fin_to2d = To2d(bands, channels) if final_2d else nn.Identity()
        self.head, self.out_channels = self._final(channels, bands, out_channels, final_2d=final_2d)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, mels, frames) to (batch, out_channels, frames); left-over frames are cut."""
        frames = features.shape[-1] // self.time_stride * self.time_stride
        streams = [self.stem_gnorm(self.calls.call(self.stem, features[..., :frames].unsqueeze(1)))]
        for index in range(self.n_stages):
            streams += self._run_stage(f"stage{index}", streams)
        final = self.calls.call(self.head, self.fin_to2d(self.fin_wght1d(streams)))
        return final.flatten(1, -2)

    def _norm(self) -> nn.Module:
        return nn.GroupNorm(self._n_groups, self.width) if self._n_groups else nn.Identity()

    def _add_stage(
        self, name: str, layers: list[nn.Module], context: nn.Module | None, time_stride: int, *, dual: bool
    ) -> int:
        """Add the modules of a stage by the names of published state dicts; return the number of its streams."""

        def at_full_rate() -> list[nn.Module]:
            return [nn.Upsample(scale_factor=time_stride), *([self._norm()] if self._n_groups else [])]

        if not dual or context is None:
            self.add_module(name, nn.Sequential(*layers, *([context] if context else []), *at_full_rate()))
            return 1
        self.add_module(f"{name}_pre", nn.Sequential(*layers))
        self.add_module(f"{name}_1d", context)
        self.add_module(f"{name}_up_2d", nn.Sequential(*at_full_rate()))
        self.add_module(f"{name}_up_1d", nn.Sequential(*at_full_rate()))
        return 2

    def _run_stage(self, name: str, streams: Sequence[Tensor]) -> list[Tensor]:
        call = self.calls.call
        if hasattr(self, name):
            stage = self.get_submodule(name)
            return self.calls.stage(lambda streams: [call(stage, streams)], [stage], streams)
        parts = [self.get_submodule(name + part) for part in ("_pre", "_1d", "_up_2d", "_up_1d")]
        before, context, up_before, up_behind = parts

        def run(streams: Streams) -> list[Tensor]:
            pooled = call(before, streams)
            return [call(up_before, pooled), call(up_behind, call(context, pooled))]

        return self.calls.stage(run, parts, streams)

    def _final(self, channels: int, bands: int, out_channels: int | None, *, final_2d: bool) -> tuple[nn.Module, int]:
        """Return the final convolution, and the number of values per frame of its output."""
        if out_channels is None:
            return nn.Identity(), self.width
        if final_2d:
            return nn.Conv2d(channels, out_channels, 1), bands * out_channels
        return nn.Conv1d(self.width, out_channels, 1), out_channels
