"""Keys that a configuration of redimnet-mrl does not have, and that the new one needs to mean the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mrlspk.config.head import HeadConfig
from mrlspk.config.predecessor_values import PredecessorValues
from mrlspk.config.published import PublishedReDimNetConfig


@dataclass(frozen=True)
class AddedKey:
    """A key that no old one says, though the old program did what it says; or one that the others need."""

    new: str
    value: Any
    reason: str


def additions(old: PredecessorValues) -> Iterator[AddedKey]:
    """Yield what the old program did unasked, where that is not the default here, and what its choices need here."""
    if old.is_whole:
        yield from _absent(old)
    if old.from_scratch:
        stages = PublishedReDimNetConfig.model_fields["stages_setup"].default
        yield AddedKey("model.backbone.stages_setup", stages, "the stages of redimnet-mrl's own networks")
    if old.get("training.lr_scheduler") == "step":
        yield AddedKey("training.lr_step_epochs", 30, "redimnet-mrl's step schedule")
        yield AddedKey("training.lr_gamma", 0.1, "redimnet-mrl's step schedule")
    if old.get("training.lr_scheduler") == "exponential":
        yield AddedKey("training.lr_gamma", 0.95, "redimnet-mrl's exponential schedule")
    if old.get("loss.type") == "Triplet":
        yield AddedKey("data.sampler", "speaker_balanced", "Triplet needs two crops of a speaker in a batch")
        yield AddedKey("data.utterances_per_speaker", 2, "Triplet needs two crops of a speaker in a batch")
    rate, decay = old.number("training.learning_rate"), HeadConfig().start_decay
    if old.trains_head_alone and rate is not None and rate * decay >= 1:
        yield AddedKey("head.start_decay", 0.0, f"at this learning rate the default, {decay:g}, would undo each step")


def _absent(old: PredecessorValues) -> Iterator[AddedKey]:
    """Yield what the old program took for keys that its file need not have."""
    reason = "what redimnet-mrl did without"
    if "advanced.use_pretrained" not in old.values:
        yield AddedKey("model.pretrained.use_pretrained", value=False, reason=f"{reason} advanced.use_pretrained")
    if "advanced.train_type" not in old.values and not old.from_scratch:
        yield AddedKey("model.pretrained.train_type", "ptn", f"{reason} advanced.train_type")
    if "advanced.freeze_backbone_epochs" not in old.values:
        yield AddedKey("training.freeze_backbone_epochs", 0, f"{reason} advanced.freeze_backbone_epochs")
    if "evaluation.use_eer_for_best_model" not in old.values:
        yield AddedKey("evaluation.best_by", "loss", f"{reason} evaluation.use_eer_for_best_model")
