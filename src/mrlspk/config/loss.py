"""Section ``loss``: the training objective, applied at every width."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from mrlspk.config.base import StrictModel


class LossConfig(StrictModel):
    """Margin softmax over speakers, or triplets within a batch."""

    type: Literal["AAMSoftmax", "SubCenter", "Triplet"] = Field("AAMSoftmax", description="Objective.")
    margin: NonNegativeFloat = Field(0.2, description="Additive angular margin, radians.")
    scale: PositiveFloat = Field(30.0, description="Factor on the cosine.")
    easy_margin: bool = Field(False, description="Apply the margin only where the cosine is positive.")
    num_subcenters: PositiveInt = Field(3, description="Centres per speaker, for SubCenter.")
    margin_shares: dict[PositiveInt, Annotated[float, Field(ge=0, le=1)]] = Field(
        {8: 0.0, 16: 0.0, 32: 0.5}, description="Share of the margin at single widths; others have all of it."
    )
    margin_start: NonNegativeFloat = Field(0.0, description="Margin from which it rises, radians.")
    margin_start_epoch: NonNegativeInt = Field(
        0, description="Epoch at which the margin begins to rise from margin_start."
    )
    margin_full_epoch: NonNegativeInt = Field(
        0, description="Epoch at which the margin is full, after margin_start_epoch; 0 for both: full from the start."
    )
    class_matrix: Literal["sliced", "per_width"] = Field(
        "sliced", description="One matrix of class weights whose columns are cut for each width, or one per width."
    )
    n_dims_per_step: PositiveInt | None = Field(
        None, description="Widths, drawn anew at each step, whose loss is taken; null: all."
    )
    distillation_weight: NonNegativeFloat | None = Field(
        None,
        description="Weight of the similarity distillation beside the objective, in runs that train the head alone; "
        "null: 1 in these, 0 in others.",
    )
    distillation_temperature: PositiveFloat = Field(
        0.05, description="What the cosines of a batch are divided by in the distillation."
    )
    distillation_teacher: Path | None = Field(
        None,
        description="Model whose similarities are taught: a path or name; null: the start's own full width.",
    )
    class_lr_multiplier: PositiveFloat = Field(
        10.0, description="Learning rate of the class weights, as a multiple of training.learning_rate."
    )
    triplet_margin: PositiveFloat = Field(0.3, description="Margin on the cosine distance, for Triplet.")
    triplet_mining: Literal["batch_hard", "semi_hard", "all"] = Field(
        "batch_hard", description="Which triplets of a batch count, for Triplet."
    )

    @model_validator(mode="after")
    def check_margin_schedule(self) -> Self:
        """Refuse a margin that starts to rise no earlier than it is full."""
        start, full = self.margin_start_epoch, self.margin_full_epoch
        if start and full <= start:
            raise ValueError(f"margin_full_epoch must be after margin_start_epoch, got {full} and {start}")
        return self

    @model_validator(mode="after")
    def check_teacher(self) -> Self:
        """Refuse a teacher whose similarities have no weight."""
        if self.distillation_teacher is not None and self.distillation_weight == 0:
            raise ValueError("distillation_teacher needs distillation_weight above zero")
        return self
