"""Going on with a run: which checkpoint, and with which configuration."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.checkpoints import LoadedModel, load_entries, read_checkpoint, schema
from mrlspk.training.checkpoints.checkpoint import BEST, LAST, UNTRAINED

log = logging.getLogger("mrlspk.training")

# Keys on which no result depends: a resumed run may have other values. How many processes there are is compared with
# what the checkpoint says, since a launcher may say it in place of the keys.
FREE_KEYS = (
    "hardware.device",
    "hardware.devices",
    "hardware.nodes",
    "data.num_workers",
    "data.prefetch_factor",
    "data.pin_memory",
    "data.worker_timeout_seconds",
    "logging.",
)
CHOSEN_KEYS = "training.batch_size", "training.accumulation_steps", "training.target_batch"  # by batch_size auto


def find_resume_point(resume: str, config: LoggingConfig) -> Path | None:
    """Return the checkpoint that ``--resume`` means: None for ``never``, or for ``auto`` where no run was begun.

    ``auto`` is the run called ``run_name`` where the configuration names one, else the newest under ``save_dir``.

    Raises:
        CheckpointError: If a path is given that leads to no checkpoint, or the run has lost its last one.
    """
    if resume == "never":
        return None
    if resume == "auto":
        found = [(path.stat().st_mtime, path) for path in config.save_dir.glob(f"{config.run_name or '*'}/{LAST}")]
        if not found and config.run_name is not None:
            _check_last_not_gone(config.save_dir / config.run_name / LAST)
        return max(found)[1] if found else None
    path = Path(resume)
    path = path / LAST if path.is_dir() else path
    _check_last_not_gone(path)
    if path.name == LAST and not path.is_file() and any(path.with_name(name).is_file() for name in UNTRAINED):
        raise _nothing_to_go_on_from(path.parent)
    if not path.is_file():
        raise CheckpointError("no checkpoint to resume from", path, "Give a run's folder or a checkpoint in it.")
    return path


def _check_last_not_gone(path: Path) -> None:
    """Refuse a run that has kept epochs and no ``last.pt``, and name the newest of them.

    Raises:
        CheckpointError: If it is such a run.
    """
    kept = _newest_kept(path.parent)
    if path.name == LAST and kept is not None and not path.is_file():
        raise CheckpointError("is gone, though the run has kept epochs", path, f"Go on with --resume {kept}.")


def _newest_kept(run_dir: Path) -> Path | None:
    return max(run_dir.glob("epoch-*.pt"), default=None)


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint to resume from, as it was read.

    Attributes:
        path: Its file.
        entries: All that it holds, as `mrlspk.models.checkpoints.schema` names it.
        stamp: Inode, size and time of change of the file, which tell whether it was replaced since.
    """

    path: Path
    entries: dict[str, Any]
    stamp: tuple[int, int, int]

    def model(self) -> LoadedModel:
        """Return the encoder that the checkpoint holds.

        Raises:
            CheckpointError: If it is no whole model.
        """
        return load_entries(self.entries, self.path)


def read_resume_point(path: Path, *, known: ResumePoint | None = None) -> ResumePoint:
    """Return the checkpoint in ``path``; the file is not read again if it is still the one that is ``known``.

    Raises:
        CheckpointError: If it is damaged; where that is ``last.pt``, the newest kept epoch is named.
    """
    stamp = _stamp(path)
    if known is not None and (known.path, known.stamp) == (path, stamp):
        return known
    try:
        return ResumePoint(path, read_checkpoint(path), stamp)
    except CheckpointError as error:
        kept = _newest_kept(path.parent)
        if path.name != LAST or kept is None:
            raise
        raise CheckpointError(error.what, path, f"Take it away, and go on with --resume {kept}.") from error


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return inode, size and time of change of a file."""
    try:
        found = path.stat()
    except OSError:  # reading it says what is wrong
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def _nothing_to_go_on_from(run_dir: Path) -> CheckpointError:
    """Return the error of a run that has a start and no step."""
    if (run_dir / BEST).is_file():
        return CheckpointError(
            "the run has ended with nothing trained: there is nothing to go on from",
            run_dir,
            f"Take its {BEST}, or begin a new run.",
        )
    return CheckpointError(
        "the run was stopped before its first step: there is nothing to go on from",
        run_dir,
        f"Begin it anew: --resume auto with its configuration and logging.run_name={run_dir.name}.",
    )


def check_nothing_lost(point: ResumePoint) -> None:
    """Refuse to resume from a checkpoint whose run has come further: its later checkpoints would be overwritten.

    Raises:
        CheckpointError: If it has.
    """
    last = point.path.with_name(LAST)
    if point.path == last or not last.is_file():
        return
    there, here = (_place(each.entries[schema.PROGRESS]) for each in (read_resume_point(last), point))
    if there > here:
        raise CheckpointError(
            f"its run has come further, to {_shown(there)}: going on from {_shown(here)} would overwrite that",
            point.path,
            "Resume from the folder, or copy it whole and let the checkpoint be last.pt in the copy.",
        )


def check_best_is_there(best: Path, best_epoch: int) -> None:
    """Refuse to go on with a run whose best checkpoint is gone: without it, the run could not end.

    Args:
        best: Where it has to be.
        best_epoch: Which epoch it is of; 0: there was none yet.

    Raises:
        CheckpointError: If it is not there.
    """
    if best_epoch and not best.is_file():
        kept = best.with_name(f"epoch-{best_epoch:03d}.pt")
        copied = f"Copy {kept.name}, which is the same" if kept.is_file() else "Bring it back, or copy another epoch"
        raise CheckpointError(
            f"is gone, the best checkpoint of the run (epoch {best_epoch})", best, f"{copied}, to {best.name}."
        )


def _place(progress: dict[str, Any]) -> tuple[int, int]:
    return progress["epoch"], progress.get("n_crops", 0)


def _shown(place: tuple[int, int]) -> str:
    epoch, n_crops = place
    return f"epoch {epoch}" + (f" and {n_crops} crops of the next" if n_crops else "")


def configure_resumed(
    resume: str, asked: Config, *, named_keys: Collection[str], allow_changes: bool = False
) -> tuple[Config, ResumePoint | None]:
    """Return the configuration to train with, and the checkpoint that is resumed, if one is.

    Args:
        resume: ``never``, ``auto`` or a path.
        asked: The configuration from files, variables and flags.
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
    """Return the configuration to resume a run with: its own, with the changes that are free or allowed.

    Args:
        point: The checkpoint of the run.
        asked: The configuration from files, variables and flags.
        named_keys: Dotted keys that these set. The run must have had the same values, but for ``FREE_KEYS``, which are
            taken from ``asked``.
        allow_changes: Take the other keys from ``asked`` too, and warn of what changed.

    Raises:
        ConfigError: If the run had other values; they are named.
        CheckpointError: If the checkpoint holds no configuration.
    """
    try:
        saved = Config.model_validate(point.entries[schema.CONFIG]).model_dump(mode="json")
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"holds no configuration to train with: {error}",
            point.path,
            "Resume from a checkpoint that mrlspk train wrote.",
        ) from error
    wanted, keys = asked.model_dump(mode="json"), set(named_keys)
    if asked.training.batch_size == "auto":
        keys -= set(CHOSEN_KEYS)
        log.info("training.batch_size auto: a run that goes on keeps its %s", saved["training"]["batch_size"])
    changed = _take_free_keys(saved, wanted, keys)
    if changed and not allow_changes:
        raise ConfigError(
            f"the run was begun with another configuration: {'; '.join(changed)}",
            point.path.parent,
            "Resume without these, allow them with --allow-changes, or begin a new run.",
        )
    if not changed:
        return _valid(saved, point.path)
    log.warning("the run goes on with another configuration: %s", "; ".join(changed))
    for key in keys:
        _set_value(saved, key, _value(wanted, key))
    return _valid(saved, point.path)


def _is_free(key: str, saved: dict[str, Any]) -> bool:
    """Return whether no result of a run with the configuration ``saved`` depends on a key."""
    if key == "logging.save_interval" and saved["training"]["average_last"]:
        return False  # it says which epochs are averaged
    return key.startswith(FREE_KEYS)


def _take_free_keys(saved: dict[str, Any], wanted: dict[str, Any], keys: Collection[str]) -> list[str]:
    """Give ``saved`` the free keys that are wanted; return what differs in the others."""
    changed = []
    for key in sorted(keys):
        old, new = _value(saved, key), _value(wanted, key)
        if _is_free(key, saved):
            _set_value(saved, key, new)
        elif old != new:
            changed.append(f"{key} was {old}, now {new}")
    return changed


def _valid(values: dict[str, Any], point: Path) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        raise ConfigError(
            f"what was changed does not fit the run's other settings: {problems}", point.parent, "Change both."
        ) from error


def _value(config: Any, key: str) -> Any:
    """Return what is at a dotted key; a section that is null has nothing below it."""
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
