"""The folder of a run, and the checkpoint in it that the run goes on from."""

import logging
from datetime import datetime
from pathlib import Path

from mrlspk.config.logging import LoggingConfig
from mrlspk.errors import MrlspkError
from mrlspk.training.checkpoints.checkpoint import UNTRAINED
from mrlspk.training.checkpoints.resume import find_resume_point

log = logging.getLogger("mrlspk.training")


def find_run(config: LoggingConfig, resume: str) -> tuple[Path | None, Path]:
    """Return the checkpoint that a run goes on from, if any, and its folder.

    Raises:
        CheckpointError: If there is nothing to go on from.
        MrlspkError: If a run of its name exists.
    """
    point = find_resume_point(resume, config)
    return point, point.parent if point else _new_run_dir(config, begins_anew=resume == "auto")


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
