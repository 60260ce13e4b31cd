"""Section ``training``: how long, how fast, and which parts move."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from mrlspk.config.base import StrictModel


def _never_as_none(value: object) -> object:
    """Read 9999, which once meant never, as none."""
    return None if value == 9999 else value


class TrainingConfig(StrictModel):
    """Optimiser, schedule and the parts that are frozen."""

    num_epochs: PositiveInt = Field(30, description="Passes over the training set.")
    batch_size: int = Field(64, ge=2, description="Crops per step of the network; batch normalisation needs 2.")
    accumulation_steps: PositiveInt = Field(1, description="Batches whose gradients make one optimiser step.")
    max_grad_norm: PositiveFloat | None = Field(1.0, description="Clip the gradient to this norm; null: never.")
    learning_rate: PositiveFloat = Field(1e-4, description="Peak learning rate.")
    lr_scheduler: Literal["cosine", "step", "exponential"] = Field("cosine", description="Decay after warm-up.")
    lr_step_epochs: PositiveInt = Field(10, description="Epochs between two falls of the step schedule.")
    lr_gamma: PositiveFloat = Field(
        0.5, le=1, description="Factor of each fall (step), or of each epoch (exponential)."
    )
    warmup_epochs: NonNegativeFloat = Field(1.0, description="Epochs, or a part of one, of linear warm-up.")
    min_lr: NonNegativeFloat = Field(1e-6, description="Floor of the learning rate.")
    optimizer: Literal["AdamW", "SGD"] = Field("AdamW", description="Optimiser.")
    weight_decay: NonNegativeFloat = Field(1e-3, description="Decay of weight matrices; biases and norms have none.")
    betas: tuple[PositiveFloat, PositiveFloat] = Field((0.9, 0.999), description="AdamW's averages.")
    momentum: NonNegativeFloat = Field(0.9, lt=1, description="SGD's momentum (Nesterov where above 0).")
    freeze_backbone_epochs: Annotated[NonNegativeInt | None, BeforeValidator(_never_as_none)] = Field(
        None,
        description="Epochs for which only the head is trained, all else frozen and in evaluation mode; "
        "null (or 9999): always, 0: never.",
    )
