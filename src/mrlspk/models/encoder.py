"""Encoder: waveform to log-mel features, backbone, pooling and head; nothing outside `models` touches its parts."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrlspk.config.architecture import NetworkArchitecture, ReDimNet2Config, ReDimNetConfig
from mrlspk.errors import ConfigError
from mrlspk.models.feature_masks import Masks, mask_features
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.headed_model import HeadedModel
from mrlspk.models.redimnet.execution import Calls
from mrlspk.models.redimnet.features import LogMelFeatures
from mrlspk.models.redimnet.pooling import Pooling, pooling_by_name
from mrlspk.models.redimnet.redimnet import ReDimNet
from mrlspk.models.redimnet.redimnet2 import ReDimNet2

type Backbone = ReDimNet | ReDimNet2

MIN_FRAMES = 2  # a deviation over time needs two


class Encoder(HeadedModel):
    """Map waveforms to embeddings.

    Args:
        spec: Front end, which computes log-mel features.
        backbone: Maps features to frames.
        pool: Pools the frames over time.
        head: Maps pooled statistics to the embedding.
        dims: The prefix widths that it was trained for, rising; the last is the full width.
        padding: Zeros appended to the waveform.
        skipped_frames: First frames of the backbone's output that pooling leaves out.
    """

    def __init__(
        self,
        spec: LogMelFeatures,
        backbone: Backbone,
        pool: Pooling,
        head: MatryoshkaHead,
        dims: tuple[int, ...],
        *,
        padding: int = 0,
        skipped_frames: int = 0,
    ) -> None:
        super().__init__()
        self.spec, self.backbone, self.pool, self.head = spec, backbone, pool, head
        self.dims, self.padding, self.skipped_frames = dims, padding, skipped_frames

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        strides = -(-(self.skipped_frames + MIN_FRAMES) // self.backbone.time_stride)
        needed = self.spec.samples_for(strides * self.backbone.time_stride)
        return max(self.spec.min_samples, needed - self.padding)

    def with_head(self, head: MatryoshkaHead, dims: tuple[int, ...]) -> Self:
        """Return an encoder of the same parts with another head."""
        parts = self.spec, self.backbone, self.pool
        return type(self)(*parts, head, dims, padding=self.padding, skipped_frames=self.skipped_frames)

    def rewritten(self, rewrite: Callable[[nn.Module], nn.Module]) -> tuple[nn.Module, nn.Module]:
        """Return what ``rewrite`` makes of the backbone and of the pooling."""
        return rewrite(self.backbone), rewrite(self.pool)

    def optimise(self, *, channels_last: bool, compiled: bool, recomputed: bool) -> None:
        """Speed up the backbone, or save its memory, in place; parameters keep their names and values.

        Args:
            channels_last: Store its weights in the channels-last memory format.
            compiled: Call its parts through torch.compile where gradients are on.
            recomputed: Compute the inner activations of each stage again in the backward pass.
        """
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.backbone.calls = Calls(compiled=compiled, recomputed=recomputed)

    def features(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to log-mel features (batch, mels, frames), in float32."""
        features: Tensor = self.spec(functional.pad(waveform, (0, self.padding)))
        return features

    def forward(self, waveform: Tensor, masks: Masks | None = None) -> Tensor:
        """Map (batch, samples) at 16 kHz to (batch, embed_dim), not yet of unit length, in float32.

        ``masks`` hide bands and frames of the features if the backbone is in training mode.
        """
        return self.project(self.pooled(waveform, masks))

    def pooled(self, waveform: Tensor, masks: Masks | None = None) -> Tensor:
        """Map (batch, samples) at 16 kHz to pooled statistics (batch, in_features of the head), in float32."""
        features = self.features(waveform)
        if masks is not None and self.backbone.training:
            features = mask_features(features, masks)
        frames = self.backbone(features)
        with torch.autocast(waveform.device.type, enabled=False):
            return self.backbone.calls.call(self.pool, frames[..., self.skipped_frames :].float())


def build_encoder(config: NetworkArchitecture, *, empty: bool = False) -> Encoder:
    """Return an encoder with random weights; if ``empty``, with weights that take no memory until they are loaded.

    Raises:
        ConfigError: If the parts of the architecture do not fit together.
    """
    dims = config.matryoshka_dims
    try:
        with torch.device("meta") if empty else nullcontext():
            backbone = build_backbone(config.backbone)
            pool = build_pooling(config.backbone, backbone.out_channels)
            head = MatryoshkaHead(pool.out_features, dims[-1], output_norm=config.output_norm)
    except ValueError as error:
        raise ConfigError(f"the architecture does not fit together: {error}", "model.backbone") from error
    padding, skipped = 0, 0
    if isinstance(config.backbone, ReDimNet2Config):
        padding, skipped = config.backbone.pad_right_samples or 0, config.backbone.before_pool_offset or 0
    return Encoder(build_features(config.backbone), backbone, pool, head, dims, padding=padding, skipped_frames=skipped)


def build_features(config: ReDimNetConfig | ReDimNet2Config) -> LogMelFeatures:
    """Return the front end; its filters are computed, not trained."""
    return LogMelFeatures(config.F, config.hop_length, config.feat_type)


def build_pooling(config: ReDimNetConfig | ReDimNet2Config, channels: int) -> Pooling:
    """Return the pooling over frames with ``channels`` channels."""
    return pooling_by_name(config.pooling_func, channels, global_context=config.global_context_att)


def build_backbone(config: ReDimNetConfig | ReDimNet2Config) -> Backbone:
    """Return the backbone with random weights.

    Raises:
        ValueError: If its channels do not split into its groups.
    """
    blocks: dict[str, Any] = {
        "block_1d_type": config.block_1d_type,
        "block_2d_type": config.block_2d_type,
        "group_divisor": config.group_divisor,
        "out_channels": config.out_channels,
    }
    if isinstance(config, ReDimNetConfig):
        return ReDimNet(config.F, config.C, config.stages_setup, dropout=config.feat_agg_dropout, **blocks)
    return ReDimNet2(
        config.F,
        config.C,
        config.stages_setup,
        final_2d=config.return_2d_output,
        grouped_strides=config.compress_tconvs,
        embed_bands=config.use_freq_pos_enc,
        dual_streams=config.dual_agg,
        norm_streams=config.agg_gnorm,
        **blocks,
    )
