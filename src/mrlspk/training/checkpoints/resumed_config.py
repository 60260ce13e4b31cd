"""Compare the configuration of a resumed run with the one asked for."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.checkpoints import schema
from mrlspk.training.checkpoints.resume_point import ResumePoint, find_resume_point, read_resume_point

log = logging.getLogger("mrlspk.training")

# Keys that no result depends on: a resumed run may have other values. The number of processes is compared with the
# checkpoint instead, since a launcher may set it in place of the keys.
FREE_KEYS = (
    "hardware.device",
    "hardware.devices",
    "hardware.nodes",
    "data.num_workers",
    "data.prefetch_factor",
    "data.pin_memory",
    "data.max_unreadable",
    "data.worker_timeout_seconds",
    "logging.",
)
# Keys that ``training.batch_size: auto`` sets.
AUTO_BATCH_KEYS = "training.batch_size", "training.accumulation_steps", "training.target_batch"

# Keys that are chosen by the corpus if they are null: the resumed run keeps what was chosen.
SIZES = "training.batch_size", "training.num_epochs"


def configure_resumed(
    resume: str, asked: Config, *, named_keys: Collection[str], allow_changes: bool = False
) -> tuple[Config, ResumePoint | None]:
    """Return the configuration to train with, and the checkpoint to resume from, if any.

    Args:
        resume: ``never``, ``auto`` or a path.
        asked: As for `resumed_config`.
        named_keys: As for `resumed_config`.
        allow_changes: As for `resumed_config`.

    Raises:
        ConfigError: If the run had another configuration.
        CheckpointError: If there is no such run, or its checkpoint cannot be resumed from.
    """
    path = find_resume_point(resume, asked.logging)
    if path is None:
        return asked, None
    point = read_resume_point(path)
    return resumed_config(point, asked, named_keys=named_keys, allow_changes=allow_changes), point


def resumed_config(
    point: ResumePoint, asked: Config, *, named_keys: Collection[str], allow_changes: bool = False
) -> Config:
    """Return the configuration of a resumed run: its own, with free or allowed changes.

    Args:
        point: The checkpoint of the run.
        asked: The configuration from files, variables and flags.
        named_keys: Dotted keys that these set. They must have the run's values, except for `FREE_KEYS`, which are taken
            from ``asked``.
        allow_changes: Take the other keys from ``asked`` too, and warn of the changes.

    Raises:
        ConfigError: If the run had other values; they are listed.
        CheckpointError: If the checkpoint holds no configuration.
    """
    path = point.path
    try:
        saved = Config.model_validate(_with_former_start(point.entries[schema.CONFIG])).model_dump(mode="json")
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"holds no configuration to train with: {error}", path, "Resume from a checkpoint that mrlspk train wrote."
        ) from error
    wanted, keys = asked.model_dump(mode="json"), set(named_keys)
    if asked.training.batch_size == "auto":
        keys -= set(AUTO_BATCH_KEYS)
        log.info("training.batch_size auto: the resumed run keeps its %s", saved["training"]["batch_size"])
    keys -= {key for key in SIZES if _value(wanted, key) is None}
    changed = _take_free_keys(saved, wanted, keys)
    if changed and not allow_changes:
        raise ConfigError(
            f"the configuration changed: {'; '.join(changed)}",
            path.parent,
            "Resume without the changes, accept them with `allow_changes`, or start a new run.",
        )
    if changed:
        log.warning("the run is resumed with a changed configuration: %s", "; ".join(changed))
        for key in keys:
            _set_value(saved, key, _value(wanted, key))
    return _valid(saved, path.parent)


def _with_former_start(entry: Any) -> Any:
    """Return the configuration of a run; of one from before starts were centred, it says what its start is."""
    head = entry.get("head") if isinstance(entry, dict) else None
    if not isinstance(head, dict) or "centre" in head:
        return entry
    return entry | {"head": {"centre": False, "order": "energy"} | head}


def _is_free(key: str, saved: dict[str, Any]) -> bool:
    """Return whether a resumed run with the configuration ``saved`` may have another value of ``key``."""
    if key == "logging.save_interval" and saved["training"]["average_last"]:
        return False  # it decides which epochs are averaged
    return key.startswith(FREE_KEYS)


def _take_free_keys(saved: dict[str, Any], wanted: dict[str, Any], keys: Collection[str]) -> list[str]:
    """Copy the wanted values of free keys to ``saved``; return the differences in other keys."""
    changed = []
    for key in sorted(keys):
        old, new = _value(saved, key), _value(wanted, key)
        if _is_free(key, saved):
            _set_value(saved, key, new)
        elif old != new:
            changed.append(f"{key} was {old}, now {new}")
    return changed


def _valid(values: dict[str, Any], run_dir: Path) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(problem_text(problem) for problem in error.errors())
        raise ConfigError(
            f"the changes do not fit the run's other settings: {problems}", run_dir, "Change both."
        ) from error


def _value(config: Any, key: str) -> Any:
    """Return the value of a dotted key; None below a section that is null."""
    for part in key.split("."):
        config = config.get(part) if config is not None else None
    return config


def _set_value(config: dict[str, Any], key: str, value: Any) -> None:
    *sections, leaf = key.split(".")
    for part in sections:
        if config[part] is None:
            config[part] = {}
        config = config[part]
    config[leaf] = value
