"""Section ``training``: optimiser, schedule, and the parts that are trained."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mrlspk.config.base import LARGEST, Amount, Count, CountOrZero, Factor, StrictModel, Width


def _never_as_none(value: object) -> object:
    """Read 9999, which once meant never, as None."""
    return None if value == 9999 else value


FEWEST_EPOCHS = 5  # by default

Beta = Annotated[float, Field(gt=0, lt=1)]


class LoraConfig(StrictModel):
    """Low-rank adapters on dense layers of the frozen backbone."""

    rank: Width = Field(8, description="Rank of the update of each weight matrix.")
    alpha: Width = Field(16, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the input of each adapter.")
    targets: tuple[Literal["attention", "pointwise"], ...] = Field(
        ("attention", "pointwise"),
        min_length=1,
        description="Layers with adapters: attention (its projections and the feed-forward layers behind it), "
        "pointwise (convolutions of size 1 without groups).",
    )


class TrainingConfig(StrictModel):
    """Optimiser, schedule and the parts that are frozen."""

    num_epochs: Count | None = Field(
        None, description="Passes over the training set; null: 5, and more in a small corpus, for enough steps."
    )
    early_stopping_epochs: Count | None = Field(
        None, description="Stop after this many epochs without improvement; null: never."
    )
    max_nonfinite_steps: Count = Field(
        10, description="Abort after this many consecutive steps with a non-finite loss, which are skipped."
    )
    batch_size: Annotated[int, Field(ge=2, le=LARGEST)] | Literal["auto"] | None = Field(
        None,
        description="Crops, or stored vectors, per batch in each process; batch normalisation needs 2. null: 512, and "
        "fewer in a small corpus. auto: as many as fit on the GPU.",
    )
    target_batch: Annotated[int, Field(ge=2, le=LARGEST)] | None = Field(
        None, description="With batch_size auto: crops per optimiser step (gradient accumulation); null: one batch."
    )
    accumulation_steps: Count = Field(1, description="Batches per optimiser step.")
    max_grad_norm: Factor | None = Field(1.0, description="Clip the gradient to this norm; null: never.")
    learning_rate: float = Field(2e-4, gt=0, le=1000, description="Peak learning rate.")
    lr_scheduler: Literal["cosine", "step", "exponential"] = Field("cosine", description="Decay after warm-up.")
    lr_step_epochs: Count = Field(10, description="Epochs between two decays of the step schedule.")
    lr_gamma: float = Field(0.5, gt=0, le=1, description="Factor of each decay (step), or of each epoch (exponential).")
    warmup_epochs: Amount = Field(0.5, description="Epochs of linear warm-up; may be a fraction.")
    min_lr: float = Field(1e-6, ge=0, le=1000, description="Floor of the learning rate.")
    optimizer: Literal["AdamW", "SGD"] = Field("AdamW", description="Optimiser.")
    weight_decay: Amount = Field(1e-3, description="Decay of weight matrices; biases and norms have none.")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="AdamW's betas.")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD's momentum (Nesterov if above 0).")
    freeze_backbone_epochs: Annotated[CountOrZero | None, BeforeValidator(_never_as_none)] = Field(
        None,
        description="Epochs in which only the head is trained, the rest frozen and in evaluation mode; "
        "null (or 9999): always, 0: never.",
    )
    backbone_lr_multiplier: Factor = Field(
        1.0, description="Learning rate of everything before the head, as a multiple of learning_rate."
    )
    layer_lr_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Layer-wise decay: multiplies the backbone's rate once for the pooling and once more per stage "
        "away from the head.",
    )
    freeze_norm_statistics: bool = Field(
        False, description="Keep the BatchNorm statistics of the initial model, and normalise with them in training."
    )
    average_last: CountOrZero = Field(
        0, description="Last checkpoints to average at the end; the average becomes best.pt if it is better. 0: none."
    )
    refit: bool = Field(
        True,
        description="Fit the recipe that a head run has kept again, to training and validation speakers together, and "
        "make that best.pt; its metrics are those of the recipe without the validation speakers.",
    )
    lora: LoraConfig | None = Field(
        None, description="LoRA adapters on the frozen backbone; null: none. Needs the extra lora."
    )

    @property
    def batch(self) -> int:
        """Crops per batch in each process, once auto or null has been resolved."""
        if self.batch_size is None or self.batch_size == "auto":
            raise TypeError(f"training.batch_size {self.batch_size} must be resolved before it is read")
        return self.batch_size

    @property
    def epochs(self) -> int:
        """Passes over the training set; `FEWEST_EPOCHS` until null has been resolved."""
        return FEWEST_EPOCHS if self.num_epochs is None else self.num_epochs

    @model_validator(mode="after")
    def check_target(self) -> Self:
        """Require batch_size auto for a target batch."""
        if self.target_batch is not None and self.batch_size != "auto":
            raise ValueError("target_batch needs batch_size auto; with a fixed batch size set accumulation_steps")
        return self

    @model_validator(mode="after")
    def check_adapters(self) -> Self:
        """Refuse adapters on a backbone that is trained itself."""
        if self.lora is not None and self.freeze_backbone_epochs is not None:
            raise ValueError("lora needs freeze_backbone_epochs null: its adapters are trained, never the backbone")
        return self

    @model_validator(mode="after")
    def check_average(self) -> Self:
        """Refuse an average of one checkpoint, and an average of adapters."""
        if self.average_last == 1:
            raise ValueError("average_last must be 0 or at least 2, got 1")
        if self.average_last and self.lora is not None:
            raise ValueError(
                "average_last and lora exclude each other: the average of merged weights is not an adapter"
            )
        return self
