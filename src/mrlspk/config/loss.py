"""Section ``loss``: the training objective, applied at every width."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mrlspk.config.base import Amount, CountOrZero, Factor, StrictModel, Width

Radians = Annotated[float, Field(ge=0, le=math.pi)]


class LossConfig(StrictModel):
    """Margin softmax over speakers, or triplets within a batch."""

    type: Literal["AAMSoftmax", "SubCenter", "Triplet"] = Field("AAMSoftmax", description="Objective.")
    margin: Radians = Field(0.2, description="Additive angular margin, radians.")
    scale: float = Field(30.0, gt=0, le=10_000, description="Factor on the cosine.")
    easy_margin: bool = Field(False, description="Apply the margin only where the cosine is positive.")
    num_subcenters: Annotated[int, Field(ge=1, le=1000)] = Field(3, description="Centres per speaker, for SubCenter.")
    margin_shares: dict[Width, Annotated[float, Field(ge=0, le=1)]] = Field(
        {8: 0.0, 16: 0.0, 32: 0.5}, description="Share of the margin at these widths; other widths use the full margin."
    )
    margin_start: Radians = Field(0.0, description="Initial margin, radians.")
    margin_start_epoch: CountOrZero = Field(
        0, description="Epoch at which the margin begins to rise from margin_start."
    )
    margin_full_epoch: CountOrZero = Field(
        0, description="Epoch at which the margin is full, after margin_start_epoch; 0 for both: full from the start."
    )
    class_matrix: Literal["sliced", "per_width"] = Field(
        "sliced",
        description="sliced: one matrix of classifier weights, truncated to each width; per_width: one per width.",
    )
    n_dims_per_step: Width | None = Field(
        None, description="Number of widths in the loss, sampled at each step; null: all."
    )
    distillation_weight: Amount | None = Field(
        None,
        description="Weight of similarity distillation, in runs that train the head alone; "
        "null: 1 in these, 0 in others.",
    )
    distillation_temperature: Factor = Field(0.05, description="Temperature by which distillation divides cosines.")
    distillation_teacher: Path | None = Field(
        None,
        description="Teacher of the distillation: a path or name; null: the initial model at full width.",
    )
    class_lr_multiplier: Factor = Field(
        10.0, description="Learning rate of the classifier weights, as a multiple of training.learning_rate."
    )
    triplet_margin: float = Field(0.3, gt=0, le=2, description="Margin on the cosine distance, for Triplet.")
    triplet_mining: Literal["batch_hard", "semi_hard", "all"] = Field(
        "batch_hard", description="Triplets of a batch that enter the loss, for Triplet."
    )

    @model_validator(mode="after")
    def check_margin_schedule(self) -> Self:
        """Require the margin to be full after it begins to rise."""
        start, full = self.margin_start_epoch, self.margin_full_epoch
        if start and full <= start:
            raise ValueError(f"margin_full_epoch must be after margin_start_epoch, got {full} and {start}")
        return self

    @model_validator(mode="after")
    def check_teacher(self) -> Self:
        """Refuse a teacher if distillation has no weight."""
        if self.distillation_teacher is not None and self.distillation_weight == 0:
            raise ValueError("distillation_teacher needs distillation_weight above zero")
        return self
