"""The architecture of a ReDimNet backbone, in the words of the published checkpoints."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from mrlspk.config.base import StrictModel

Stage = tuple[
    Annotated[Literal[1, 2, 3], Field(description="Frequency stride.")],
    Annotated[PositiveInt, Field(description="Number of 2-D blocks.")],
    Annotated[PositiveInt, Field(description="Channel expansion inside the 2-D blocks.")],
    Annotated[tuple[tuple[PositiveInt, PositiveInt], ...], Field(description="Kernel sizes; the blocks use 3 x 3.")],
    Annotated[PositiveInt | None, Field(description="Reduction of the 1-D block; null for none.")],
]


class BackboneConfig(StrictModel):
    """Front end, ReDimNet backbone and pooling (Yakovlev et al. 2024, arXiv:2407.18223)."""

    F: PositiveInt = Field(72, description="Mel bands.")
    C: PositiveInt = Field(16, description="Channels of the stem; C x F is the width of the 1-D stream.")
    block_1d_type: Literal["conv", "att", "conv+att", "fc"] = Field("conv+att", description="Time-context block.")
    block_2d_type: Literal["convnext_like", "convnext_like_relu", "basic_resnet", "basic_resnet_fwse"] = Field(
        "convnext_like", description="Convolution block."
    )
    stages_setup: tuple[Stage, ...] = Field(
        (
            (1, 2, 1, ((3, 3),), 12),
            (2, 2, 1, ((3, 3),), 12),
            (1, 3, 1, ((3, 3),), 12),
            (3, 4, 1, ((3, 3),), 8),
            (1, 4, 1, ((3, 3),), 8),
            (2, 4, 1, ((3, 3),), 4),
        ),
        min_length=1,
        description="Per stage: frequency stride, 2-D blocks, expansion, kernel sizes, 1-D reduction.",
    )
    group_divisor: PositiveInt | None = Field(4, description="Channels per group of the 2-D convolutions; null: dense.")
    out_channels: PositiveInt | None = Field(None, description="Channels after a final 1 x 1 convolution; null: none.")
    feat_agg_dropout: NonNegativeFloat = Field(0.0, lt=1, description="Dropout on each stage's output.")
    hop_length: PositiveInt = Field(160, description="Samples between frames, at 16 kHz.")
    pooling_func: Literal["ASTP", "TSTP", "TAP", "TSDP", "TMAP", "MHASTP", "MQMHASTP"] = Field(
        "ASTP", description="Pooling over time; ASTP is attentive statistics."
    )
    feat_type: Literal["pt", "pt_mel", "tf", "tf_mel"] = Field("pt", description="Log-mel front end.")
    global_context_att: bool = Field(False, description="ASTP attends with the mean and deviation of the whole input.")

    @model_validator(mode="after")
    def check_shapes(self) -> Self:
        """Refuse strides that do not divide the mel bands, and what the attention cannot split."""
        freqs = self.F
        for number, (stride, *_, reduction) in enumerate(self.stages_setup):
            if freqs % stride:
                raise ValueError(f"stages_setup[{number}] has stride {stride}, which does not divide {freqs} bands")
            freqs //= stride
            hidden = self.C * self.F // reduction if reduction else 0
            if reduction and "att" in self.block_1d_type and hidden % 4:
                raise ValueError(f"stages_setup[{number}]: {hidden} channels do not split into 4 attention heads")
        return self


class PublishedConfig(BackboneConfig):
    """``model_config`` of a published ReDimNet checkpoint: every known key, and known values only."""

    C: PositiveInt = 16
    block_1d_type: Literal["conv", "att", "conv+att", "fc"] = "att"
    embed_dim: PositiveInt = 192
    emb_bn: bool = False
    num_classes: PositiveInt | None = None
    class_dropout: NonNegativeFloat = Field(0.0, lt=1)
    head_activation: Literal["nn.Identity()", "torch.nn.Identity()"] | None = None
    spec_params: dict[Literal["do_spec_aug", "freq_mask_width", "time_mask_width"], bool | tuple[int, int]] = Field(
        default_factory=dict
    )
    return_all_outputs: Literal[False] = False
    tf_optimized_arch: Literal[False] = False

    def backbone(self) -> BackboneConfig:
        """Return the part that describes front end, backbone and pooling."""
        return BackboneConfig.model_validate(self.model_dump(include=set(BackboneConfig.model_fields)))
