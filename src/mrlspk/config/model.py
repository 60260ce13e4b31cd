"""Section ``model``: which network, from which weights, with which widths."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from mrlspk.config.architecture import ReDimNetConfig
from mrlspk.config.base import StrictModel

NARROW_DIMS = 8, 16, 32  # trained though they are not published: small widths improve only when they are trained


class PretrainedConfig(StrictModel):
    """The published model that training starts from."""

    use_pretrained: bool = Field(True, description="Start from a published model rather than from random weights.")
    family: Literal["redimnet", "redimnet2"] = Field("redimnet", description="Family of the published model.")
    model_name: str = Field("b2", description="Published variant: b0 to b6, S, M.")
    train_type: Literal["ptn", "ft_lm", "ft_mix", "lm"] = Field(
        "ft_lm", description="Published training; of ReDimNet2: ptn or lm."
    )
    pretrained_dataset: str = Field("vox2", description="Corpus that the published model was trained on.")
    pretrained_checkpoint: Path | None = Field(
        None, description="Checkpoint to start from instead: a path, or a name that `mrlspk pretrained list` shows."
    )

    @property
    def published_name(self) -> str:
        """The name under which `mrlspk pretrained list` knows the model."""
        return f"{self.family}-{self.model_name}-{self.pretrained_dataset}-{self.train_type}"


class ModelConfig(StrictModel):
    """Encoder and embedding widths; ``matryoshka_weights[i]`` belongs to ``matryoshka_dims[i]``."""

    pretrained: PretrainedConfig = PretrainedConfig()
    backbone: ReDimNetConfig | None = Field(
        None, description="Architecture to train from scratch; null: it comes with the pretrained model."
    )
    matryoshka_dims: tuple[PositiveInt, ...] = Field(
        (64, 128, 192),
        min_length=1,
        validation_alias=AliasChoices("matryoshka_dims", "mrl_dims"),
        description="Prefix widths trained together, rising; the last is the full width.",
    )
    matryoshka_weights: tuple[NonNegativeFloat, ...] | None = Field(
        None,
        validation_alias=AliasChoices("matryoshka_weights", "mrl_weights"),
        description="Loss weight of each width, in their order; null: all equal.",
    )

    trained_dims: tuple[PositiveInt, ...] | None = Field(
        None,
        description="All widths whose loss is taken, rising; matryoshka_dims are those that the model is published "
        "with. null: 8, 16 and 32, as far as they are below the full width, and matryoshka_dims.",
    )

    @model_validator(mode="after")
    def check_widths(self) -> Self:
        """Refuse widths that do not rise, and weights that do not pair with them."""
        dims, weights = self.matryoshka_dims, self.matryoshka_weights
        if list(dims) != sorted(set(dims)):
            raise ValueError(f"matryoshka_dims must rise without repeats, got {list(dims)}")
        if weights is not None and len(weights) != len(dims):
            raise ValueError(f"{len(dims)} matryoshka_dims need {len(dims)} matryoshka_weights, got {len(weights)}")
        if weights is not None and not any(weights):
            raise ValueError("at least one of matryoshka_weights must be above zero")
        return self

    @model_validator(mode="after")
    def check_trained_dims(self) -> Self:
        """Refuse trained widths that do not rise, or that leave out one that is published."""
        trained = self.trained_dims
        if trained is None:
            return self
        if list(trained) != sorted(set(trained)):
            raise ValueError(f"trained_dims must rise without repeats, got {list(trained)}")
        if absent := sorted(set(self.matryoshka_dims) - set(trained)):
            raise ValueError(f"trained_dims must hold all of matryoshka_dims, {absent} are missing")
        if trained[-1] > self.embed_dim:
            raise ValueError(f"trained_dims reach to {trained[-1]}, beyond the full width {self.embed_dim}")
        return self

    @model_validator(mode="after")
    def check_origin(self) -> Self:
        """Refuse a configuration that names two origins of the backbone, or none."""
        if self.pretrained.use_pretrained and self.backbone is not None:
            raise ValueError("backbone and pretrained.use_pretrained exclude each other: give one")
        if not self.pretrained.use_pretrained and self.backbone is None:
            raise ValueError("backbone is needed where pretrained.use_pretrained is false")
        return self

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.matryoshka_dims[-1]

    @property
    def dims_in_loss(self) -> tuple[int, ...]:
        """All widths whose loss is taken, rising."""
        narrow = {dim for dim in NARROW_DIMS if dim < self.embed_dim}
        return self.trained_dims or tuple(sorted(narrow | set(self.matryoshka_dims)))

    @property
    def weights(self) -> tuple[float, ...]:
        """The loss weight of each of ``dims_in_loss``: 1 for one that is not published."""
        published = dict(zip(self.matryoshka_dims, self.matryoshka_weights or (), strict=False))
        return tuple(published.get(dim, 1.0) for dim in self.dims_in_loss)


class HeadConfig(StrictModel):
    """The rotation that training starts from, and how the head moves from there."""

    start: Literal["pretrained", "random"] = Field(
        "pretrained",
        description="The head of the model to start from, or a new one: it is trained at the full width, then rotated.",
    )
    rotation: Literal["auto", "none", "svd", "class_svd", "between_within", "lda_qr"] = Field(
        "auto",
        description="Order of the embedding's values before training; auto: the best on held-out speakers, and none "
        "for a model that has several widths already.",
    )
    within_shares: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.25, 0.5), min_length=1, description="Shares of the within-speaker scatter that between_within tries."
    )
    lda_shrinkages: tuple[PositiveFloat, ...] = Field(
        (1.0, 4.0), min_length=1, description="Shrinkages that lda_qr tries."
    )
    flatten: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.2,
        description="Power by which the spectrum is flattened before the whole layer is trained: 0 leaves it, towards "
        "0.5 all directions become alike. The rotation, which training has to beat, stays as it is.",
    )
    trained: Literal["linear", "orthogonal", "none"] = Field(
        "linear", description="What is trained while all else is frozen: the whole layer, a rotation of it, or nothing."
    )
    class_start: Literal["means", "random"] = Field("means", description="First class weights.")
    start_decay: Annotated[float, Field(ge=0)] = Field(
        200.0,
        description="Decay of head and class weights towards where they started, times the learning rate, in runs that "
        "train the head alone.",
    )
