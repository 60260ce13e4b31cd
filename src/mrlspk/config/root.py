"""Combine the sections, and check settings that depend on each other."""

from typing import Self

from pydantic import Field, model_validator

from mrlspk.config.base import Seed, StrictModel
from mrlspk.config.data import DataConfig, FeaturesConfig
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.config.loss import LossConfig
from mrlspk.config.model import HeadConfig, ModelConfig
from mrlspk.config.run import HardwareConfig, LoggingConfig
from mrlspk.config.training import TrainingConfig


class Config(StrictModel):
    """Everything that determines a run except the data."""

    seed: Seed = Field(42, description="Seed of every random choice.")
    deterministic: bool = Field(False, description="Deterministic algorithms only; slower on a GPU.")
    model: ModelConfig = ModelConfig()
    head: HeadConfig = HeadConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    features: FeaturesConfig = FeaturesConfig()
    hardware: HardwareConfig = HardwareConfig()
    logging: LoggingConfig = LoggingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def check_origin(self) -> Self:
        """Require a pretrained model, a backbone or vectors, and with vectors only the head to train."""
        if not self.data.vectors:
            if not self.model.pretrained.use_pretrained and self.model.backbone is None:
                raise ValueError("model.backbone is required if model.pretrained.use_pretrained is false")
            return self
        if self.model.backbone is not None:
            raise ValueError("data.vectors needs model.backbone null: only a head is trained on vectors")
        if self.loss.distillation_teacher is not None:
            raise ValueError("loss.distillation_teacher needs audio: leave it out to train on data.vectors")
        if not self.trains_head_alone:
            raise ValueError(
                "data.vectors needs training.freeze_backbone_epochs null and no training.lora: only a head is trained"
            )
        return self

    @property
    def base_model(self) -> str | None:
        """Path or name of the model that training starts from; None from scratch, or from vectors alone."""
        pretrained = self.model.pretrained
        if not pretrained.use_pretrained or (self.data.vectors and pretrained.pretrained_checkpoint is None):
            return None
        return str(pretrained.pretrained_checkpoint or pretrained.published_name)

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
    def check_head_only_keys(self) -> Self:
        """Refuse settings of head-only runs in other runs and the reverse, and a head-only run that trains nothing."""
        if self.trains_head_alone:
            self._check_keys_of_crops()
            if self.head.trained == "none" and self.loss.type == "Triplet":
                raise ValueError(
                    "head.trained none and loss.type Triplet leave nothing to train, not even classifier weights"
                )
            return self
        if self.head.start == "random":
            raise ValueError("head.start random needs training.freeze_backbone_epochs null: it is for head-only runs")
        if self.loss.distillation_weight or self.loss.distillation_teacher is not None:
            key = "distillation_weight" if self.loss.distillation_weight else "distillation_teacher"
            raise ValueError(f"loss.{key} needs training.freeze_backbone_epochs null: it is for head-only runs")
        if self.head.trained != "linear":
            raise ValueError(f"head.trained {self.head.trained} needs training.freeze_backbone_epochs null")
        return self

    def _check_keys_of_crops(self) -> None:
        """Refuse what needs log-mel features, or crops on the device, in each step of a head-only run."""
        if self.data.spec_augment_probability:
            raise ValueError(
                "data.spec_augment_probability masks the log-mel features of a backbone that is trained, and this run "
                "trains only a head, on stored vectors or on a model of another toolkit: set it to 0"
            )
        if self.data.augmentation_device == "cuda":
            raise ValueError(
                "data.augmentation_device cuda needs training.freeze_backbone_epochs or training.lora: the crops of a "
                "head-only run are augmented once, by the decoding processes; set it to cpu or auto"
            )

    @model_validator(mode="after")
    def check_start_decay(self) -> Self:
        """Refuse a decay that undoes every step."""
        pull = self.head.start_decay * self.training.learning_rate
        if self.trains_head_alone and pull >= 1:
            raise ValueError(
                f"head.start_decay times training.learning_rate is {pull:g}: it must be below 1; lower either"
            )
        return self

    @property
    def distillation_weight(self) -> float:
        """Weight of similarity distillation: as configured, else 1 if the head alone is trained and 0 otherwise."""
        wanted = self.loss.distillation_weight
        return float(self.trains_head_alone) if wanted is None else wanted

    @property
    def trains_head_alone(self) -> bool:
        """Whether everything before the head stays frozen, so that its output is computed once."""
        return self.training.freeze_backbone_epochs is None and self.training.lora is None

    @model_validator(mode="after")
    def check_best_width(self) -> Self:
        """Refuse to choose checkpoints by a width that is not trained."""
        best_by, dims = self.evaluation.best_by, self.model.matryoshka_dims
        if isinstance(best_by, int) and best_by not in dims:
            raise ValueError(f"evaluation.best_by {best_by} is not among model.matryoshka_dims {list(dims)}")
        return self

    @model_validator(mode="after")
    def check_kept_for_average(self) -> Self:
        """Refuse an average of more checkpoints than are kept."""
        wanted, written = self.training.average_last, self.training.epochs // self.logging.save_interval
        if wanted > min(self.logging.keep_last_n, written):
            raise ValueError(
                f"training.average_last {wanted} needs {wanted} kept checkpoints, but logging.keep_last_n is "
                f"{self.logging.keep_last_n} and num_epochs / save_interval makes {written}"
            )
        if wanted and self.head.trained != "linear":
            raise ValueError("training.average_last needs head.trained linear: the mean of rotations is not a rotation")
        return self

    @model_validator(mode="after")
    def check_norm_statistics(self) -> Self:
        """Refuse to keep statistics of a network that has none yet."""
        if self.training.freeze_norm_statistics and not self.model.pretrained.use_pretrained:
            raise ValueError("training.freeze_norm_statistics needs a pretrained model whose statistics it keeps")
        return self
