"""Find and read the checkpoint that a run is resumed from."""

import glob
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import LoadedModel, load_entries, read_checkpoint, schema
from mrlspk.models.checkpoints.plain_values import reading_entries
from mrlspk.reading import is_file, is_folder
from mrlspk.training.checkpoints.run_folder import BEST, LAST, UNTRAINED, kept_epochs, new_run_dir

log = logging.getLogger("mrlspk.training")


def find_run(config: LoggingConfig, resume: str, *, is_planned: bool = False) -> tuple[Path, Path | None]:
    """Return the folder of a run and the checkpoint to resume it from; None for a new run.

    ``is_planned`` warns of a run of the same name: nothing is written yet.

    Raises:
        CheckpointError: If there is nothing to resume.
        MrlspkError: If a run of its name exists.
    """
    point = find_resume_point(resume, config)
    return (
        (point.parent, point)
        if point
        else (new_run_dir(config, replaces_untrained=resume == "auto", is_planned=is_planned), None)
    )


def find_resume_point(resume: str, config: LoggingConfig) -> Path | None:
    """Return the checkpoint to resume from; None for ``never``, and for ``auto`` if there is no run.

    ``auto`` is the run called ``run_name`` if the configuration has one, else the newest under ``save_dir``.

    Raises:
        CheckpointError: If the path has no checkpoint, or ``last.pt`` is missing.
    """
    if resume == "never":
        return None
    if resume == "auto":
        pattern = f"{'*' if config.run_name is None else glob.escape(config.run_name)}/{LAST}"
        found = [(path.stat().st_mtime, path) for path in config.save_dir.glob(pattern)]
        if not found and config.run_name is not None:
            _check_last_is_there(config.save_dir / config.run_name / LAST)
        return max(found)[1] if found else None
    path, fix = Path(resume), "Give a run's folder or a checkpoint in it."
    path = path / LAST if is_folder(path, CheckpointError, fix) else path
    if is_file(path, CheckpointError, fix):
        return path
    if is_folder(path.parent, CheckpointError, fix):
        _check_last_is_there(path)
        if path.name == LAST and any(path.with_name(name).is_file() for name in UNTRAINED):
            raise _nothing_trained(path.parent)
        if path.name == LAST and path.with_name("config.yaml").is_file():
            fix = "Start it again: give its first command once more."
            raise CheckpointError("the run was stopped before its first checkpoint", path.parent, fix)
    named = config.save_dir / resume
    if is_folder(named, CheckpointError, fix):
        fix = f"Did you mean `resume={named}`?"
    raise CheckpointError("no checkpoint to resume from", path, fix)


def _check_last_is_there(path: Path) -> None:
    """Refuse a run that has kept epochs and no ``last.pt``; the error names the newest epoch."""
    kept = _newest_kept(path.parent)
    if path.name == LAST and kept is not None and not path.is_file():
        raise CheckpointError("is missing, though the run has kept epochs", path, f"Resume with `resume={kept}`.")


def _newest_kept(run_dir: Path) -> Path | None:
    return max(kept_epochs(run_dir), default=None)


def _nothing_trained(run_dir: Path) -> CheckpointError:
    """Return the error of a run that was started and has not taken a step."""
    if (run_dir / BEST).is_file():
        return CheckpointError(
            "the run has ended with nothing trained: there is nothing to resume",
            run_dir,
            f"Use its {BEST}, or begin a new run.",
        )
    return CheckpointError(
        "the run was stopped before its first step: there is nothing to resume",
        run_dir,
        f"Start it again with `resume=auto`, its configuration and logging.run_name={run_dir.name}.",
    )


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint to resume from, read once.

    Attributes:
        path: Its file.
        entries: Its entries, see `mrlspk.models.checkpoints.schema`.
        stamp: Inode, size and time of change of the file, which tell whether it was replaced since.
    """

    path: Path
    entries: dict[str, Any]
    stamp: tuple[int, int, int]

    def model(self) -> LoadedModel:
        """Return the model in the checkpoint.

        Raises:
            CheckpointError: If it does not load whole.
        """
        return load_entries(self.entries, self.path)


def read_resume_point(path: Path, *, known: ResumePoint | None = None) -> ResumePoint:
    """Return the checkpoint in ``path``; ``known`` itself, if the file is unchanged since that was read.

    Raises:
        CheckpointError: If it is damaged; for ``last.pt`` the error names the newest kept epoch.
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
        raise CheckpointError(error.what, path, f"Remove it, and resume with `resume={kept}`.") from error


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return inode, size and time of change of a file."""
    try:
        found = path.stat()
    except OSError:  # reading the file raises the error
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def check_nothing_lost(point: ResumePoint) -> None:
    """Refuse to resume from a checkpoint whose run has advanced since: its later checkpoints would be overwritten.

    Raises:
        CheckpointError: If it has.
    """
    last = point.path.with_name(LAST)
    if point.path == last or not last.is_file():
        return
    there, here = (_place(each) for each in (read_resume_point(last), point))
    if there > here:
        raise CheckpointError(
            f"its run has advanced to {_shown(there)}: resuming from {_shown(here)} would overwrite that",
            point.path,
            "Resume from the folder, or copy the folder and rename the checkpoint to last.pt in the copy.",
        )


def check_best_is_there(best: Path, best_epoch: int) -> None:
    """Refuse to resume a run whose best checkpoint is missing: the end of the run reads it.

    Args:
        best: Its file.
        best_epoch: Its epoch; 0 if there is none yet.

    Raises:
        CheckpointError: If the file is missing.
    """
    if best_epoch and not best.is_file():
        kept = best.with_name(f"epoch-{best_epoch:03d}.pt")
        copied = f"Copy {kept.name}, which is the same" if kept.is_file() else "Restore it, or copy another epoch"
        raise CheckpointError(
            f"is missing, the best checkpoint of the run (epoch {best_epoch})", best, f"{copied}, to {best.name}."
        )


def warn_if_ended(point: ResumePoint, n_epochs: int) -> None:
    """Warn if a run has no epoch left to train."""
    epoch, _ = _place(point)
    if epoch >= n_epochs:
        log.warning(
            "%s: nothing is left to train: %d of %d epochs are done; to train on, add `allow_changes` and "
            "`set=training.num_epochs=%d`",
            *(point.path.parent, epoch, n_epochs, 2 * epoch),
        )


def _place(point: ResumePoint) -> tuple[int, int]:
    with reading_entries(point.path):
        progress = point.entries[schema.PROGRESS]
        place = (progress["epoch"], progress.get("n_crops", 0)) if isinstance(progress, dict) else ()
        if not (place and all(isinstance(count, int) for count in place)):
            raise TypeError(f"no counts in {schema.PROGRESS}")
        return place


def _shown(place: tuple[int, int]) -> str:
    epoch, n_crops = place
    return f"epoch {epoch}" + (f" and {n_crops} crops of the next" if n_crops else "")
