"""The whole configuration."""

from typing import Self

from pydantic import Field, NonNegativeInt, model_validator

from mrlspk.config.base import StrictModel
from mrlspk.config.data import DataConfig
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.config.hardware import HardwareConfig
from mrlspk.config.logging import LoggingConfig
from mrlspk.config.loss import LossConfig
from mrlspk.config.model import ModelConfig
from mrlspk.config.training import TrainingConfig


class Config(StrictModel):
    """All that a run depends on, beside the data itself."""

    seed: NonNegativeInt = Field(42, description="Origin of every random choice.")
    deterministic: bool = Field(False, description="Deterministic algorithms only; slower on a GPU.")
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    hardware: HardwareConfig = HardwareConfig()
    logging: LoggingConfig = LoggingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def check_triplet_batches(self) -> Self:
        """Refuse triplets without two crops of a speaker in a batch."""
        if self.loss.type == "Triplet" and (
            self.data.sampler != "speaker_balanced" or self.data.utterances_per_speaker < 2
        ):
            raise ValueError(
                "loss.type Triplet needs data.sampler speaker_balanced and data.utterances_per_speaker of 2 or more"
            )
        return self

    @model_validator(mode="after")
    def check_best_width(self) -> Self:
        """Refuse to choose checkpoints by a width that is not trained."""
        best_by, dims = self.evaluation.best_by, self.model.matryoshka_dims
        if isinstance(best_by, int) and best_by not in dims:
            raise ValueError(f"evaluation.best_by {best_by} is not among model.matryoshka_dims {list(dims)}")
        return self
