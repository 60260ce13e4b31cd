"""Section ``training``: how long, how fast, and which parts move."""

from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from mrlspk.config.base import StrictModel


def _never_as_none(value: object) -> object:
    """Read 9999, which once meant never, as none."""
    return None if value == 9999 else value


class LoraConfig(StrictModel):
    """Low-rank adapters on dense layers of the frozen backbone."""

    rank: PositiveInt = Field(8, description="Rank of what is added to each weight matrix.")
    alpha: PositiveInt = Field(16, description="What is added counts alpha / rank times.")
    dropout: NonNegativeFloat = Field(0.0, lt=1, description="Share of an adapter's input that is dropped in training.")
    targets: tuple[Literal["attention", "pointwise"], ...] = Field(
        ("attention", "pointwise"),
        min_length=1,
        description="Layers with adapters: attention (its projections and the feed-forward layers behind it), "
        "pointwise (convolutions of size 1 without groups).",
    )


class TrainingConfig(StrictModel):
    """Optimiser, schedule and the parts that are frozen."""

    num_epochs: PositiveInt = Field(5, description="Passes over the training set.")
    early_stopping_epochs: PositiveInt | None = Field(
        None, description="End after so many epochs without a better one; null: never."
    )
    max_nonfinite_steps: PositiveInt = Field(
        10, description="Steps in a row left out, for a loss that is no finite number, after which the run ends."
    )
    batch_size: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        512,
        description="Crops, or stored vectors, of a batch in each process; batch normalisation needs 2. auto: as many "
        "as the GPU has room for.",
    )
    target_batch: Annotated[int, Field(ge=2)] | None = Field(
        None, description="With batch_size auto: crops of an optimiser step, reached by accumulation; null: one batch."
    )
    accumulation_steps: PositiveInt = Field(1, description="Batches whose gradients make one optimiser step.")
    max_grad_norm: PositiveFloat | None = Field(1.0, description="Clip the gradient to this norm; null: never.")
    learning_rate: PositiveFloat = Field(2e-4, description="Peak learning rate.")
    lr_scheduler: Literal["cosine", "step", "exponential"] = Field("cosine", description="Decay after warm-up.")
    lr_step_epochs: PositiveInt = Field(10, description="Epochs between two falls of the step schedule.")
    lr_gamma: PositiveFloat = Field(
        0.5, le=1, description="Factor of each fall (step), or of each epoch (exponential)."
    )
    warmup_epochs: NonNegativeFloat = Field(0.5, description="Epochs, or a part of one, of linear warm-up.")
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
    backbone_lr_multiplier: PositiveFloat = Field(
        1.0, description="Learning rate of all before the head, as a multiple of learning_rate."
    )
    layer_lr_decay: PositiveFloat = Field(
        1.0,
        le=1,
        description="Further factor on it: once for the pooling, once more for each stage farther from the head.",
    )
    freeze_norm_statistics: bool = Field(
        False, description="Keep the statistics of every BatchNorm as they came with the model, and train by them."
    )
    average_last: NonNegativeInt = Field(
        0, description="Kept checkpoints averaged at the end, the last ones; best if it is better. 0: none."
    )
    lora: LoraConfig | None = Field(
        None, description="Adapters on the backbone, which stays frozen; null: none. Needs the extra lora."
    )

    @property
    def batch(self) -> int:
        """Crops of a batch in each process; whoever reads it has found out before what auto means."""
        if self.batch_size == "auto":
            raise TypeError("training.batch_size is auto: it has to be chosen before it is read")
        return self.batch_size

    @model_validator(mode="after")
    def check_target(self) -> Self:
        """Refuse a target that nothing would reach."""
        if self.target_batch is not None and self.batch_size != "auto":
            raise ValueError("target_batch needs batch_size auto; with a batch of your own set accumulation_steps")
        return self

    @model_validator(mode="after")
    def check_adapters(self) -> Self:
        """Refuse adapters on a backbone that is trained itself."""
        if self.lora is not None and self.freeze_backbone_epochs is not None:
            raise ValueError("lora needs freeze_backbone_epochs null: its adapters are trained, the backbone never")
        return self

    @model_validator(mode="after")
    def check_average(self) -> Self:
        """Refuse an average of one checkpoint, and one that the adapters could not hold."""
        if self.average_last == 1:
            raise ValueError("average_last must be 0 or at least 2, got 1")
        if self.average_last and self.lora is not None:
            raise ValueError("average_last and lora exclude each other: no adapter gives an average of merged weights")
        return self
