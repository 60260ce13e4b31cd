"""The folder of a run, and the checkpoint in it that the run goes on from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from mrlspk.config.run import LoggingConfig
from mrlspk.errors import MrlspkError
from mrlspk.files import one_at_a_time
from mrlspk.training.checkpoints.checkpoint import LAST, UNTRAINED
from mrlspk.training.checkpoints.resume import find_resume_point

log = logging.getLogger("mrlspk.training")

PATIENCE_SECONDS = 20.0  # with processes that outlive a run that was killed


def find_run(config: LoggingConfig, resume: str) -> tuple[Path, Path | None]:
    """Return the folder of a run and the checkpoint that it is resumed from; None for a new run.

    Raises:
        CheckpointError: If there is nothing to go on from.
        MrlspkError: If a run of its name exists.
    """
    point = find_resume_point(resume, config)
    return (point.parent, point) if point else (_new_run_dir(config, begins_anew=resume == "auto"), None)


def _new_run_dir(config: LoggingConfig, *, begins_anew: bool) -> Path:
    """Return the folder of a run that begins; ``begins_anew``: also where one of its name ended before an epoch did."""
    name = config.run_name or datetime.now().strftime("%Y%m%d-%H%M%S")
    run_dir = config.save_dir / name
    found = {path.name for path in run_dir.glob("*.pt")}
    if begins_anew and found and found <= set(UNTRAINED):
        log.warning("%s: the run was stopped before its first step, and begins anew", run_dir)
    elif found:
        raise MrlspkError(
            "a run of this name exists", run_dir, "Choose another logging.run_name, or go on with --resume."
        )
    return run_dir


@contextmanager
def lock_run(run_dir: Path, *, resumes: bool) -> Iterator[None]:
    """Hold the lock of a run in the block: two processes that train in one folder would overwrite each other's files.

    The lock is beside the folder. Decoding processes of a run that was killed hold it until they notice.

    Raises:
        MrlspkError: If another process has it for longer than that, or began the run meanwhile, or it cannot be made.
    """
    fix = "Wait for it, end it, or choose another logging.run_name."
    with one_at_a_time(
        run_dir.parent / ".locks" / f"{run_dir.name}.lock",
        on_wait=partial(_say_that_it_waits, run_dir),
        patience_seconds=PATIENCE_SECONDS,
        busy=MrlspkError("another process is training this run", run_dir, fix),
    ):
        if not resumes and (run_dir / LAST).is_file():
            raise MrlspkError("another process has begun this run meanwhile", run_dir, fix)
        yield


def _say_that_it_waits(run_dir: Path) -> None:
    log.warning("waiting up to %g s for another process that has the run %s", PATIENCE_SECONDS, run_dir)
