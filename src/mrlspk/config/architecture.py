"""Validate architectures in configurations, our checkpoints and published ``model_config``."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from mrlspk.config.base import Count, StrictModel

# Far above any real model: a file beyond these limits is damaged or malicious.
MelBands = Annotated[int, Field(ge=1, le=1024)]
Channels = Annotated[int, Field(ge=1, le=4096)]
OutChannels = Annotated[int, Field(ge=1, le=65_536)]
HopLength = Annotated[int, Field(ge=1, le=16_000)]
Stride = Annotated[int, Field(ge=1, le=64)]
BlockCount = Annotated[int, Field(ge=1, le=100)]
KernelSize = Annotated[int, Field(ge=1, le=255)]
Padding = Annotated[int, Field(ge=0, le=160_000)]
SkippedFrames = Annotated[int, Field(ge=0, le=10_000)]
MAX_STAGES = 64

Block1d = Literal["conv", "att", "conv+att", "fc"]
Block2d = Literal["convnext_like", "convnext_like_relu", "basic_resnet", "basic_resnet_fwse"]
Pooling = Literal["ASTP", "TSTP", "TAP", "TSDP", "TMAP", "MHASTP", "MQMHASTP"]
FrontEnd = Literal["pt", "pt_mel", "tf", "tf_mel"]
Kernels = Annotated[tuple[tuple[KernelSize, KernelSize], ...], Field(max_length=8)]

Stage = tuple[
    Annotated[int, Field(ge=1, le=3, description="Frequency stride.")],
    Annotated[BlockCount, Field(description="Number of 2-D blocks.")],
    Annotated[Channels, Field(description="Channel expansion inside the 2-D blocks.")],
    Annotated[Kernels, Field(description="Kernel sizes; the blocks use 3 x 3.")],
    Annotated[OutChannels | None, Field(description="Reduction of the 1-D block; null for none.")],
]
Stage2 = tuple[
    Annotated[tuple[Stride, Stride], Field(description="Frequency and time stride.")],
    Annotated[BlockCount, Field(description="Number of 2-D blocks.")],
    Annotated[float, Field(gt=0, le=4096, description="Channel expansion inside the 2-D blocks, below 1 a reduction.")],
    Annotated[Kernels, Field(min_length=1, description="Kernel sizes of ConvNeXt-like blocks; others use 3 x 3.")],
    Annotated[OutChannels | None, Field(description="Reduction of the 1-D block; null for none.")],
]


class ReDimNetConfig(StrictModel):
    """Front end, ReDimNet backbone and pooling (Yakovlev et al. 2024, arXiv:2407.18223)."""

    F: MelBands = Field(72, description="Mel bands.")
    C: Channels = Field(16, description="Channels of the stem; C x F is the width of the 1-D stream.")
    block_1d_type: Block1d = Field("conv+att", description="Time-context block.")
    block_2d_type: Block2d = Field("convnext_like", description="Convolution block.")
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
        max_length=MAX_STAGES,
        description="Per stage: frequency stride, 2-D blocks, expansion, kernel sizes, 1-D reduction.",
    )
    group_divisor: OutChannels | None = Field(4, description="Channels per group of the 2-D convolutions; null: dense.")
    out_channels: OutChannels | None = Field(None, description="Channels after a final 1 x 1 convolution; null: none.")
    feat_agg_dropout: NonNegativeFloat = Field(0.0, lt=1, description="Dropout on each stage's output.")
    hop_length: HopLength = Field(160, description="Samples between frames, at 16 kHz.")
    pooling_func: Pooling = Field("ASTP", description="Pooling over time; ASTP is attentive statistics.")
    feat_type: FrontEnd = Field("pt", description="Log-mel front end.")
    global_context_att: bool = Field(False, description="ASTP attends with the mean and deviation of all frames too.")

    @model_validator(mode="after")
    def check_shapes(self) -> Self:
        """Refuse strides that do not divide the mel bands, and channels that attention cannot split into heads."""
        check_stages(self, [(stride, reduction) for stride, *_, reduction in self.stages_setup])
        return self


class ReDimNet2Config(StrictModel):
    """Front end, ReDimNet2 backbone and pooling (ReDimNet2 2026, arXiv:2603.11841)."""

    F: MelBands = Field(72, description="Mel bands.")
    C: Channels = Field(24, description="Channels of the stem; C x F is the width of the 1-D stream.")
    causal: Literal["none"] = Field("none", description="Causal blocks; not supported.")
    spec_in_channels: Literal[1] = Field(1, description="Channels of the front end's output.")
    block_1d_type: Block1d = Field("conv+att", description="Time-context block.")
    block_2d_type: Block2d = Field("basic_resnet", description="Convolution block.")
    compress_tconvs: bool = Field(True, description="Group the strided convolutions as far as channels allow.")
    fm_weigthing_type: Literal["NC"] = Field("NC", description="Streams are weighted per channel.")
    stages_setup: tuple[Stage2, ...] = Field(
        (
            ((1, 1), 2, 4, ((3, 3),), 24),
            ((2, 1), 3, 3, ((3, 3),), 24),
            ((1, 2), 4, 2, ((3, 3),), 24),
            ((2, 1), 5, 1, ((3, 3),), 24),
            ((1, 2), 4, 1, ((3, 3),), 24),
            ((2, 1), 3, 1, ((3, 3),), 24),
        ),
        min_length=1,
        max_length=MAX_STAGES,
        description="Per stage: frequency and time stride, 2-D blocks, expansion, kernel sizes, 1-D reduction.",
    )
    group_divisor: OutChannels | None = Field(1, description="Channels per group of the 2-D convolutions; null: dense.")
    out_channels: OutChannels | None = Field(None, description="Channels after a final 1 x 1 convolution; null: none.")
    return_2d_output: bool = Field(
        False, description="Apply the final convolution over channels in each band separately."
    )
    use_freq_pos_enc: bool = Field(False, description="Add a learned vector per band at each stage.")
    dual_agg: bool = Field(False, description="Keep each stage's output before its 1-D block as a stream too.")
    agg_gnorm: bool = Field(False, description="Normalise each stream, in groups of bands.")
    hop_length: HopLength = Field(160, description="Samples between frames, at 16 kHz.")
    pad_right_samples: Padding | None = Field(None, description="Zeros appended to the waveform, samples; null: none.")
    before_pool_offset: SkippedFrames | None = Field(None, description="First frames that pooling skips; null: none.")
    pooling_func: Pooling = Field("ASTP", description="Pooling over time; ASTP is attentive statistics.")
    feat_type: FrontEnd = Field("pt", description="Log-mel front end.")
    global_context_att: bool = Field(True, description="ASTP attends with the mean and deviation of all frames too.")

    @model_validator(mode="after")
    def check_shapes(self) -> Self:
        """Refuse strides that do not divide the mel bands, and channels that attention cannot split into heads."""
        check_stages(self, [(strides[0], reduction) for strides, *_, reduction in self.stages_setup])
        return self


def check_stages(config: ReDimNetConfig | ReDimNet2Config, stages: list[tuple[int, int | None]]) -> None:
    """Check the frequency stride and 1-D reduction of each stage.

    Raises:
        ValueError: If a stride does not divide the mel bands, or attention cannot split its channels.
    """
    freqs = config.F
    for number, (stride, reduction) in enumerate(stages):
        if freqs % stride:
            raise ValueError(f"stages_setup[{number}] has stride {stride}, which does not divide {freqs} bands")
        freqs //= stride
        hidden = config.C * config.F // reduction if reduction else 0
        if reduction and "att" in config.block_1d_type and hidden % 4:
            raise ValueError(f"stages_setup[{number}]: {hidden} channels do not split into 4 attention heads")
        if reduction and not hidden:
            raise ValueError(f"stages_setup[{number}]: nothing is left of {config.C * config.F} channels / {reduction}")


class _Widths(StrictModel):
    matryoshka_dims: tuple[OutChannels, ...] = Field(min_length=1)
    output_norm: bool = False

    @model_validator(mode="after")
    def check_widths(self) -> Self:
        """Refuse widths that do not rise."""
        if list(self.matryoshka_dims) != sorted(set(self.matryoshka_dims)):
            raise ValueError(f"matryoshka_dims must rise without repeats, got {list(self.matryoshka_dims)}")
        return self


class ReDimNetArchitecture(_Widths):
    """A ReDimNet with a head; ``output_norm``: the head applies BatchNorm to its output."""

    family: Literal["redimnet"] = "redimnet"
    backbone: ReDimNetConfig


class ReDimNet2Architecture(_Widths):
    """A ReDimNet2 with a head."""

    family: Literal["redimnet2"] = "redimnet2"
    backbone: ReDimNet2Config


class BaseFile(StrictModel):
    """The file of the model beneath a head or a transform.

    Attributes:
        file: Its name; it lies beside the file of the head or transform.
        sha256: Of its content.
    """

    file: str
    sha256: str

    @field_validator("file")
    @classmethod
    def check_name(cls, value: str) -> str:
        """Refuse a path: the file is read and written in the folder of the head, and nowhere else."""
        if value in {"", ".."} or Path(value).name != value:
            raise ValueError("expected a file name as the base model, got a path")
        return value


class HeadArchitecture(_Widths):
    """A head on embeddings of a model of another toolkit, at unit length.

    Attributes:
        in_features: Width of these embeddings.
        base: The model; None if only its embeddings are at hand.
        fingerprint: Identifies the model, or the file of its embeddings; None if nothing does.
    """

    family: Literal["head"] = "head"
    in_features: OutChannels
    base: BaseFile | None = None
    fingerprint: str | None = None


NetworkArchitecture = ReDimNetArchitecture | ReDimNet2Architecture
Architecture = NetworkArchitecture | HeadArchitecture


def describe_architecture(
    backbone: ReDimNetConfig | ReDimNet2Config, dims: tuple[int, ...], *, output_norm: bool = False
) -> NetworkArchitecture:
    """Return the architecture of a backbone with a head of these widths, as checkpoints store it."""
    if isinstance(backbone, ReDimNet2Config):
        return ReDimNet2Architecture(backbone=backbone, matryoshka_dims=dims, output_norm=output_norm)
    return ReDimNetArchitecture(backbone=backbone, matryoshka_dims=dims, output_norm=output_norm)


# Names of the classifier's activation. It comes after the embedding, so nothing is built from these names.
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
    num_classes: Count | None = None
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

    ``causal`` is required: the wrapper's default names a network that the published code cannot build.
    """

    causal: Literal["none"]
    embed_dim: OutChannels = 192
    emb_bn: bool = False
    num_classes: Count | None = None
    feat_agg_dropout: NonNegativeFloat = Field(0.0, lt=1)  # the published network does not read it
    head_activation: HeadActivation | None = None
    spec_params: dict[SpecAugment, bool | tuple[int, int]] = Field(default_factory=dict)
    return_all_outputs: Literal[False] = False

    def backbone(self) -> ReDimNet2Config:
        """Return the part that describes front end, backbone and pooling."""
        return ReDimNet2Config.model_validate(self.model_dump(include=set(ReDimNet2Config.model_fields)))


type PublishedConfig = PublishedReDimNetConfig | PublishedReDimNet2Config


def published_family(model_config: dict[str, Any]) -> Literal["redimnet", "redimnet2"]:
    """Return the family of a ``model_config``: only ReDimNet2 has pairs of strides and some of the keys."""
    stages = model_config.get("stages_setup")
    if isinstance(stages, list | tuple) and stages and isinstance(stages[0], list | tuple) and stages[0]:
        return "redimnet2" if isinstance(stages[0][0], list | tuple) else "redimnet"
    only_second = PublishedReDimNet2Config.model_fields.keys() - PublishedReDimNetConfig.model_fields.keys()
    return "redimnet2" if only_second & model_config.keys() else "redimnet"
