"""``model_config`` of published checkpoints: every known key, and known values only."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from mrlspk.config.backbone import MAX_STAGES, Block1d, Channels, OutChannels, ReDimNet2Config, ReDimNetConfig, Stage

# What the classifier's activation may be called. An embedding comes before it, so nothing is built from these words.
HeadActivation = Literal[
    "nn.Identity()", "nn.ReLU()", "nn.Sigmoid()", "nn.Tanh()", "nn.Softmax(dim=1)", "nn.Softmax(dim=-1)",
    "nn.LogSoftmax(dim=1)", "nn.LogSoftmax(dim=-1)", "torch.nn.Identity()",
]  # fmt: skip
SpecAugment = Literal["do_spec_aug", "freq_mask_width", "time_mask_width"]


class PublishedReDimNetConfig(ReDimNetConfig):
    """``model_config`` of a published ReDimNet checkpoint; defaults are those of the published wrapper."""

    C: Channels = 16
    block_1d_type: Block1d = "att"
    stages_setup: tuple[Stage, ...] = Field(
        (
            (1, 2, 1, ((3, 3),), 12),
            (2, 2, 1, ((3, 3),), 12),
            (1, 3, 1, ((3, 3),), 12),
            (2, 4, 1, ((3, 3),), 8),
            (1, 4, 1, ((3, 3),), 8),
            (2, 4, 1, ((3, 3),), 4),
        ),
        min_length=1,
        max_length=MAX_STAGES,
    )
    embed_dim: OutChannels = 192
    emb_bn: bool = False
    num_classes: PositiveInt | None = None
    class_dropout: NonNegativeFloat = Field(0.0, lt=1)
    head_activation: HeadActivation | None = None
    spec_params: dict[SpecAugment, bool | tuple[int, int]] = Field(default_factory=dict)
    return_all_outputs: Literal[False] = False
    tf_optimized_arch: Literal[False] = False

    def backbone(self) -> ReDimNetConfig:
        """Return the part that describes front end, backbone and pooling."""
        return ReDimNetConfig.model_validate(self.model_dump(include=set(ReDimNetConfig.model_fields)))


class PublishedReDimNet2Config(ReDimNet2Config):
    """``model_config`` of a published ReDimNet2 checkpoint; defaults are those of the published wrapper.

    ``causal`` must be there: the wrapper's own default names a network that the published code does not build.
    """

    causal: Literal["none"]
    embed_dim: OutChannels = 192
    emb_bn: bool = False
    num_classes: PositiveInt | None = None
    feat_agg_dropout: NonNegativeFloat = Field(0.0, lt=1)  # the published network does not read it
    head_activation: HeadActivation | None = None
    spec_params: dict[SpecAugment, bool | tuple[int, int]] = Field(default_factory=dict)
    return_all_outputs: Literal[False] = False

    def backbone(self) -> ReDimNet2Config:
        """Return the part that describes front end, backbone and pooling."""
        return ReDimNet2Config.model_validate(self.model_dump(include=set(ReDimNet2Config.model_fields)))


type PublishedConfig = PublishedReDimNetConfig | PublishedReDimNet2Config


def published_family(model_config: dict[str, Any]) -> Literal["redimnet", "redimnet2"]:
    """Return which of the two a ``model_config`` describes: strides of a pair, or keys that only ReDimNet2 has."""
    stages = model_config.get("stages_setup")
    if isinstance(stages, list | tuple) and stages and isinstance(stages[0], list | tuple) and stages[0]:
        return "redimnet2" if isinstance(stages[0][0], list | tuple) else "redimnet"
    only_second = PublishedReDimNet2Config.model_fields.keys() - PublishedReDimNetConfig.model_fields.keys()
    return "redimnet2" if only_second & model_config.keys() else "redimnet"
