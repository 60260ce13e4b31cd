"""Going on with a run: which checkpoint, and with which configuration."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mrlspk.config import Config
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.checkpoint import read_checkpoint
from mrlspk.training.checkpoint import LAST


def find_resume_point(resume: str, save_dir: Path) -> Path | None:
    """Return the checkpoint that ``--resume`` means: None for ``never``, or for ``auto`` where no run was begun.

    Raises:
        CheckpointError: If a path is given that leads to no checkpoint.
    """
    if resume == "never":
        return None
    if resume == "auto":
        found = [(path.stat().st_mtime, path) for path in save_dir.glob(f"*/{LAST}")]
        return max(found)[1] if found else None
    path = Path(resume)
    path = path / LAST if path.is_dir() else path
    if not path.is_file():
        raise CheckpointError("no checkpoint to resume from", path, "Give a run's folder or a checkpoint in it.")
    return path


def resumed_config(resume: str, asked: Config, *, explicit: bool) -> Config:
    """Return the configuration to train with: that of the run that is resumed, if one is.

    Args:
        resume: ``never``, ``auto`` or a path.
        asked: The configuration from files, variables and flags.
        explicit: Whether the user gave a file or an override, which must then agree with the run.

    Raises:
        ConfigError: If it does not; the keys that differ are named.
        CheckpointError: If there is no such run, or its checkpoint holds no configuration.
    """
    point = find_resume_point(resume, asked.logging.save_dir)
    if point is None:
        return asked
    try:
        saved = Config.model_validate(read_checkpoint(point)["config"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"holds no configuration to train with: {error}", point, "Resume from a checkpoint that mrlspk train wrote."
        ) from error
    changed = list(_differences(saved.model_dump(mode="json"), asked.model_dump(mode="json")))
    if explicit and changed:
        raise ConfigError(
            f"the run was begun with another configuration: {'; '.join(changed)}",
            point.parent,
            "Resume without --config and --set, or begin a new run.",
        )
    return saved


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in old.items():
        other = new.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            yield from _differences(value, other, f"{prefix}{key}.")
        elif value != other:
            yield f"{prefix}{key} was {value}, now {other}"
