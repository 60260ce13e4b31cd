"""Section ``head``: how the Matryoshka head comes about, and what of it is trained."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from mrlspk.config.base import StrictModel


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
