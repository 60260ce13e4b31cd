"""Sections ``model`` and ``head``: the network, its initial weights and widths, and the training of the head."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from mrlspk.config.architecture import ReDimNetConfig
from mrlspk.config.base import Amount, Factor, StrictModel, Width

NARROW_DIMS = 8, 16, 32  # trained beside matryoshka_dims: small widths improve only if they are trained

NamePart = Annotated[str, Field(pattern=r"^[\w.+-]{1,100}$")]  # of the name of a published model


class PretrainedConfig(StrictModel):
    """The published model that training starts from."""

    use_pretrained: bool = Field(True, description="Start from a published model rather than from random weights.")
    family: Literal["redimnet", "redimnet2"] = Field("redimnet", description="Family of the published model.")
    model_name: NamePart = Field("b2", description="Published variant: b0 to b6, S, M.")
    train_type: Literal["ptn", "ft_lm", "ft_mix", "lm"] = Field(
        "ft_lm", description="Published training stage; ptn or lm for ReDimNet2."
    )
    pretrained_dataset: NamePart = Field("vox2", description="Corpus that the published model was trained on.")
    pretrained_checkpoint: Path | None = Field(
        None, description="Checkpoint to start from instead: a path, or a name from `mrlspk pretrained list`."
    )

    @property
    def published_name(self) -> str:
        """The name of the model in `mrlspk pretrained list`."""
        return f"{self.family}-{self.model_name}-{self.pretrained_dataset}-{self.train_type}"


class ModelConfig(StrictModel):
    """Encoder and embedding widths; ``matryoshka_weights[i]`` belongs to ``matryoshka_dims[i]``."""

    pretrained: PretrainedConfig = PretrainedConfig()
    backbone: ReDimNetConfig | None = Field(
        None, description="Architecture to train from scratch; null: that of the pretrained model."
    )
    matryoshka_dims: tuple[Width, ...] = Field(
        (64, 128, 192),
        min_length=1,
        validation_alias=AliasChoices("matryoshka_dims", "mrl_dims"),
        description="Prefix widths trained together, rising; the last is the full width.",
    )
    matryoshka_weights: tuple[Amount, ...] | None = Field(
        None,
        validation_alias=AliasChoices("matryoshka_weights", "mrl_weights"),
        description="Loss weight of each width, in the same order; null: all equal.",
    )

    trained_dims: tuple[Width, ...] | None = Field(
        None,
        description="All widths in the loss, rising; matryoshka_dims are those that the finished model offers. null: "
        "matryoshka_dims, and 8, 16 and 32 as far as they are below the full width.",
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
        """Refuse trained widths that do not rise, or that leave out one of ``matryoshka_dims``."""
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
        """Refuse both a pretrained model and a backbone."""
        if self.pretrained.use_pretrained and self.backbone is not None:
            raise ValueError("backbone and pretrained.use_pretrained exclude each other: give one")
        return self

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.matryoshka_dims[-1]

    @property
    def dims_in_loss(self) -> tuple[int, ...]:
        """All widths in the loss, rising."""
        narrow = {dim for dim in NARROW_DIMS if dim < self.embed_dim}
        return self.trained_dims or tuple(sorted(narrow | set(self.matryoshka_dims)))

    @property
    def weights(self) -> tuple[float, ...]:
        """The loss weight of each of ``dims_in_loss``; 1 for a width not in ``matryoshka_dims``."""
        published = dict(zip(self.matryoshka_dims, self.matryoshka_weights or (), strict=False))
        return tuple(published.get(dim, 1.0) for dim in self.dims_in_loss)


class HeadConfig(StrictModel):
    """The initial rotation of the embedding, and how the head is trained from there."""

    start: Literal["pretrained", "random"] = Field(
        "pretrained",
        description="pretrained: the head of the initial model; random: a new one, trained, then rotated.",
    )
    rotation: Literal["auto", "none", "svd", "class_svd", "between_within", "lda_qr"] = Field(
        "auto",
        description="Rotation of the embedding before training; auto: the best on held-out speakers, or none if the "
        "model has several widths already.",
    )
    within_shares: tuple[Amount, ...] = Field(
        (0.25, 0.5), min_length=1, description="Shares of the within-speaker scatter that between_within tries."
    )
    lda_shrinkages: tuple[Factor, ...] = Field((1.0, 4.0), min_length=1, description="Shrinkages that lda_qr tries.")
    centre: bool = Field(
        True,
        description="Start from embeddings less the mean of the speakers' means, if the whole layer is trained. With "
        "flatten and order it is the transform that training starts from; false and flatten 0: the rotation itself.",
    )
    flatten: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.2,
        description="Power that flattens the spectrum at full width, before values are ordered or cut off: 0 keeps it, "
        "0.5 would make all directions equal.",
    )
    order: Literal["energy", "scatter"] = Field(
        "energy",
        description="Order of the values of that transform: energy, or scatter: those first in which speakers differ "
        "more from each other than one speaker's recordings do.",
    )
    trained: Literal["linear", "orthogonal", "none"] = Field(
        "linear",
        description="Trained part of the head while the rest is frozen: the whole layer, a rotation of it, or none.",
    )
    class_start: Literal["means", "random"] = Field(
        "means", description="Initial classifier weights: means of the speakers' embeddings, or random."
    )
    start_decay: Amount = Field(
        200.0,
        description="Decay of head and classifier weights towards their initial values, times the learning rate, in "
        "runs that train the head alone.",
    )
