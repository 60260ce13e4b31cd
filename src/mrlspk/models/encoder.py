"""The encoder: waveform to features, backbone, pooling, head."""

import torch
from torch import Tensor, nn

from mrlspk.config.backbone import BackboneConfig
from mrlspk.errors import ConfigError
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.redimnet.backbone import ReDimNet
from mrlspk.models.redimnet.features import LogMelFeatures
from mrlspk.models.redimnet.pooling import Pooling, pooling_by_name


class Encoder(nn.Module):
    """Waveform to embedding; ``dims`` are the prefix widths that it was trained for, the last its full width."""

    def __init__(
        self, spec: LogMelFeatures, backbone: ReDimNet, pool: Pooling, head: MatryoshkaHead, dims: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.spec, self.backbone, self.pool, self.head = spec, backbone, pool, head
        self.dims = dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.head.linear.out_features

    @property
    def min_samples(self) -> int:
        """The fewest samples that make an embedding."""
        return self.spec.min_samples

    def pooled(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to pooled statistics (batch, in_features of the head), in float32."""
        frames = self.backbone(self.spec(waveform))
        with torch.autocast(waveform.device.type, enabled=False):
            statistics: Tensor = self.pool(frames.float())
        return statistics

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to (batch, embed_dim), not yet of unit length, in float32."""
        pooled = self.pooled(waveform)
        with torch.autocast(waveform.device.type, enabled=False):
            embedding: Tensor = self.head(pooled)
        return embedding


def build_encoder(config: BackboneConfig, dims: tuple[int, ...], *, output_norm: bool = False) -> Encoder:
    """Return an encoder of random weights with prefix widths ``dims``.

    Raises:
        ConfigError: If the parts of the architecture do not fit together.
    """
    try:
        backbone = ReDimNet(
            config.F,
            config.C,
            config.stages_setup,
            block_1d_type=config.block_1d_type,
            block_2d_type=config.block_2d_type,
            group_divisor=config.group_divisor,
            out_channels=config.out_channels,
            dropout=config.feat_agg_dropout,
        )
        pool = pooling_by_name(config.pooling_func, backbone.out_channels, global_context=config.global_context_att)
    except ValueError as error:
        raise ConfigError(f"the architecture does not fit together: {error}", "model.backbone") from error
    spec = LogMelFeatures(config.F, config.hop_length, config.feat_type)
    head = MatryoshkaHead(pool.out_features, dims[-1], output_norm=output_norm)
    return Encoder(spec, backbone, pool, head, dims)
