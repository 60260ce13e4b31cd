"""Migrate the keys of redimnet-mrl whose new key or value depends on other settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mrlspk.config.redimnet_mrl import PUBLISHED_WIDTH, OldKey, PredecessorValues, as_number

NOISE_DRAWN, VOLUME_DRAWN = [20.0, 40.0], [-3.0, 3.0]  # used by the old code regardless of its configuration


@dataclass(frozen=True)
class Outcome:
    """The result of migrating one key.

    Attributes:
        new: The new key; None if it is dropped.
        value: The value of the new key.
        remark: What changed, or why it is dropped.
        warning: What the user should know before training; None for nothing.
    """

    new: str | None
    value: Any
    remark: str
    warning: str | None = None


type Rule = Callable[[OldKey, PredecessorValues], Outcome]


def outcome_of(row: OldKey, old: PredecessorValues) -> Outcome:
    """Return the result of migrating a key of the file."""
    rule = RULES.get(row.old)
    return rule(row, old) if rule else Outcome(row.new, old.get(row.old), row.remark)


def _model_name(row: OldKey, old: PredecessorValues) -> Outcome:
    name = old.get("model.name")
    read = old.values.get("advanced.model_name", "b2" if old.is_whole else name)
    if old.from_scratch:
        return Outcome(None, None, "A run from scratch uses no published model.")
    if read != name:
        warning = f"model.name is {name}, but redimnet-mrl read advanced.model_name only: its value, {read}, is kept"
        return Outcome(None, None, "`advanced.model_name` names the model.", warning)
    return Outcome(row.new, name, row.remark)


def _embed_dim(row: OldKey, old: PredecessorValues) -> Outcome:
    wanted, widest = old.get("model.embed_dim"), old.full_width
    warning = None
    if widest is not None and wanted != widest:
        warning = f"model.embed_dim is {wanted}, but the loss used only {widest} values: that is the full width"
    return Outcome(None, None, row.remark, warning)


def _widths(row: OldKey, old: PredecessorValues) -> Outcome:
    dims, widest = old.get("model.mrl_dims"), old.full_width
    rising = sorted(dims) if widest is not None and all(isinstance(dim, int) for dim in dims) else dims
    published = not old.from_scratch and old.get("advanced.pretrained_checkpoint") is None
    warning = None
    if published and widest is not None and widest > PUBLISHED_WIDTH:
        warning = (
            f"width {widest} is beyond the {PUBLISHED_WIDTH} values of the published models: the others start from "
            f"random weights; model.matryoshka_dims can end at {PUBLISHED_WIDTH}"
        )
    return Outcome(row.new, rising, row.remark if rising == dims else f"Sorted. {row.remark}", warning)


def _weights(row: OldKey, old: PredecessorValues) -> Outcome:
    weights, dims = old.get("model.mrl_weights"), old.get("model.mrl_dims")
    paired_up = isinstance(weights, list) and old.full_width is not None and len(weights) == len(dims)
    if not (paired_up and all(isinstance(dim, int) for dim in dims)):
        return Outcome(row.new, weights, row.remark)
    if all(as_number(weight) == 1 for weight in weights):
        return Outcome(row.new, None, "All are 1, the same as null.")
    if dims == sorted(dims):
        return Outcome(row.new, weights, row.remark)
    paired = [weight for _, weight in sorted(zip(dims, weights, strict=True), key=lambda pair: pair[0])]
    warning = f"model.mrl_weights is sorted with model.mrl_dims, to {paired}; the widths alone were sorted before"
    return Outcome(row.new, paired, "Sorted with the widths.", warning)


def _architecture(row: OldKey, old: PredecessorValues) -> Outcome:
    return Outcome(row.new if old.from_scratch else None, old.get(row.old), row.remark)


def _published(row: OldKey, old: PredecessorValues) -> Outcome:
    if old.from_scratch:
        return Outcome(None, None, "A run from scratch uses no published model.")
    return Outcome(row.new, old.get(row.old), row.remark)


def _freeze(row: OldKey, old: PredecessorValues) -> Outcome:
    epochs = old.get("advanced.freeze_backbone_epochs")
    if old.from_scratch:
        return Outcome(row.new, 0, "A run from scratch freezes nothing.")
    if old.trains_head_alone:
        return Outcome(row.new, None, row.remark)
    number = as_number(epochs)
    return Outcome(row.new, 0 if number is not None and number < 0 else epochs, row.remark)


def _margin(row: OldKey, old: PredecessorValues) -> Outcome:
    margin = old.get("loss.margin")
    if old.get("loss.type") != "Triplet":
        return Outcome(row.new, margin, row.remark)
    warning = f"loss.margin {margin} was a margin on Euclidean distances; loss.triplet_margin is one on 1 - cosine"
    return Outcome("loss.triplet_margin", margin, "Triplets have their own margin.", warning)


def _max_grad_norm(row: OldKey, old: PredecessorValues) -> Outcome:
    value, number = old.get("training.max_grad_norm"), old.number("training.max_grad_norm")
    return Outcome(row.new, None if number is not None and number <= 0 else value, row.remark)


def _noise(row: OldKey, old: PredecessorValues) -> Outcome:
    """Double the range: the old code used 10^(x / 10) as a ratio of norms, which is 2x dB of power."""
    stated = old.get("data.noise_snr_range")
    if not isinstance(stated, list) or None in (numbers := [as_number(bound) for bound in stated]):
        return Outcome(row.new, stated, row.remark)
    doubled = [2.0 * number for number in numbers if number is not None]
    warning = f"data.noise_snr_range {stated} was {doubled} dB of power; the default, [10, 30], is audible noise"
    if numbers != NOISE_DRAWN:
        warning += f"; redimnet-mrl ignored the key and used {NOISE_DRAWN}"
    return Outcome(row.new, doubled, row.remark, warning)


def _volume(row: OldKey, old: PredecessorValues) -> Outcome:
    stated = old.get("data.volume_range")
    other = isinstance(stated, list) and [as_number(bound) for bound in stated] != VOLUME_DRAWN
    warning = f"redimnet-mrl ignored data.volume_range and used {VOLUME_DRAWN}; now {stated} is used" if other else None
    return Outcome(row.new, stated, row.remark, warning)


def _device(row: OldKey, old: PredecessorValues) -> Outcome:
    device = old.get("hardware.device")
    if old.get("hardware.distributed") is True and isinstance(device, str) and device.startswith("cuda:"):
        return Outcome(row.new, "cuda", "Without a number: each process has its own GPU.")
    return Outcome(row.new, device, row.remark)


def _precision(row: OldKey, old: PredecessorValues) -> Outcome:
    mixed = old.get("hardware.mixed_precision")
    if not isinstance(mixed, bool):
        raise ValueError(f"expected true or false, got {mixed!r}")
    warning = "redimnet-mrl ignored hardware.mixed_precision and ran in fp32; hardware.precision is bf16 now"
    return Outcome(row.new, "bf16" if mixed else "fp32", row.remark, warning if mixed else None)


def _distributed(row: OldKey, old: PredecessorValues) -> Outcome:
    distributed = old.get("hardware.distributed")
    if not isinstance(distributed, bool):
        raise ValueError(f"expected true or false, got {distributed!r}")
    if not distributed:
        return Outcome(row.new, 1, row.remark)
    size = old.get("hardware.world_size")
    if size is None:
        return Outcome(None, None, row.remark, "hardware.distributed is true, but hardware.world_size is missing")
    return Outcome(row.new, size, row.remark)


def _world_size(row: OldKey, old: PredecessorValues) -> Outcome:
    size = old.get("hardware.world_size")
    if old.get("hardware.distributed") is not True:
        return Outcome(None, None, "Without `hardware.distributed` there is one process.")
    warning = (
        f"redimnet-mrl never started {size} processes; now each takes training.batch_size crops, so that a step takes "
        f"{size} times as many; on several machines set hardware.nodes, and hardware.devices to the processes of one"
    )
    return Outcome(row.new, size, row.remark, warning if size != 1 else None)


def _log_interval(row: OldKey, old: PredecessorValues) -> Outcome:
    batches, steps = old.get("logging.log_interval"), old.number("training.accumulation_steps")
    if not isinstance(batches, int) or batches < 1 or steps is None or not steps > 1:  # NaN too
        return Outcome(row.new, batches, row.remark)
    return Outcome(row.new, max(1, int(batches / steps)), row.remark)


def _val_interval(row: OldKey, old: PredecessorValues) -> Outcome:
    interval = old.get("logging.val_interval")
    rarer = f"logging.val_interval is {interval}, but every epoch is validated" if interval != 1 else None
    return Outcome(None, None, row.remark, rarer)


def _best_by(row: OldKey, old: PredecessorValues) -> Outcome:
    scored = old.get("evaluation.use_eer_validation") and old.get("evaluation.test_datasets")
    if scored and old.get("evaluation.use_eer_for_best_model"):
        return Outcome(row.new, old.full_width or "mean_log_eer", row.remark)
    return Outcome(row.new, "loss", row.remark)


def _test_folders(row: OldKey, old: PredecessorValues) -> Outcome:
    """Return the named folders, and `data.test_dataset` unless it is one of them."""
    folders, single = old.get("evaluation.test_datasets") or {}, old.get("data.test_dataset")
    if row.old == "data.test_dataset" and single is None:
        return Outcome(None, None, "It is null.")
    if not isinstance(folders, dict):
        return Outcome(row.new, folders, row.remark)
    if single is not None and single not in folders.values():
        name = next(name for name in ("test", "test_dataset", "data.test_dataset") if name not in folders)
        folders = folders | {name: single}
    elif row.old == "data.test_dataset":
        return Outcome(row.new, folders, "It is one of them.")
    return Outcome(row.new, folders, row.remark)


def _trials(row: OldKey, old: PredecessorValues) -> Outcome:
    path, folder = old.get("evaluation.test_pairs"), old.get("data.test_dataset")
    if path is None:
        return Outcome(row.new, [], row.remark)
    if folder is None:
        reason = "A trial list needs the folder of its audio, and `data.test_dataset` names none."
        return Outcome(None, None, reason, f"add evaluation.trials yourself: path {path}, and its audio_root")
    warning = f"the paths in {path} are taken as relative to {folder}: check evaluation.trials"
    return Outcome(row.new, [{"path": path, "audio_root": folder}], row.remark, warning)


RULES: dict[str, Rule] = {
    "model.name": _model_name,
    "model.embed_dim": _embed_dim,
    "model.mrl_dims": _widths,
    "model.mrl_weights": _weights,
    **dict.fromkeys(
        (
            *("model.F", "model.C", "model.block_1d_type", "model.block_2d_type", "model.pooling_func"),
            *("model.out_channels", "model.feat_type", "training.feat_agg_dropout"),
        ),
        _architecture,
    ),
    "loss.margin": _margin,
    "training.max_grad_norm": _max_grad_norm,
    "data.test_dataset": _test_folders,
    "data.noise_snr_range": _noise,
    "data.volume_range": _volume,
    "hardware.device": _device,
    "hardware.mixed_precision": _precision,
    "hardware.distributed": _distributed,
    "hardware.world_size": _world_size,
    "logging.log_interval": _log_interval,
    "logging.val_interval": _val_interval,
    "evaluation.use_eer_for_best_model": _best_by,
    "evaluation.test_datasets": _test_folders,
    "evaluation.test_pairs": _trials,
    "advanced.model_name": _published,
    "advanced.train_type": _published,
    "advanced.pretrained_dataset": _published,
    "advanced.pretrained_checkpoint": _published,
    "advanced.freeze_backbone_epochs": _freeze,
}
