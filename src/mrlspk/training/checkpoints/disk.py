"""Room for the checkpoints of a run: made and asked for before it begins, and what is left where it has run out."""

import logging
import shutil
from pathlib import Path

from torch import nn
from torch.optim import SGD, Optimizer

from mrlspk.errors import CheckpointError, MrlspkError
from mrlspk.models.checkpoints import read_checkpoint, schema
from mrlspk.training.checkpoints.checkpoint import BEST, LAST

log = logging.getLogger("mrlspk.training")

BESIDE_KEPT = 3  # best.pt, last.pt, and the one that is being written
FEWEST = 2  # last.pt, and the one that takes its place
ENTRY_BYTES = 350  # of a checkpoint, for each tensor: its name, its shape, and what pads it
PLAIN_BYTES = 20_000  # configuration, card, figures and generators
STEP_BYTES = 4  # AdamW counts the steps of each parameter


def checkpoint_bytes(module: nn.Module, optimiser: Optimizer) -> int:
    """Return about how many bytes a checkpoint of a run takes, before its first step too.

    Args:
        module: Encoder and loss: all of their values are saved.
        optimiser: Saved with its averages: two of each trained value (AdamW), or one (SGD with momentum).
    """
    tensors = module.state_dict().values()
    n_bytes: int = sum(tensor.nbytes for tensor in tensors) + ENTRY_BYTES * len(tensors)
    for group in optimiser.param_groups:
        if isinstance(optimiser, SGD):
            averages, steps = int(group["momentum"] > 0), 0
        else:
            averages, steps = 2, 1
        for parameter in group["params"]:
            n_bytes += averages * (parameter.nbytes + ENTRY_BYTES) + steps * (STEP_BYTES + ENTRY_BYTES)
    return n_bytes + PLAIN_BYTES


def check_space(folder: Path, *, checkpoint_bytes: int, n_kept: int) -> None:
    """Warn where the checkpoints of a run will not all fit on its disk; what is there of them already counts as room.

    Args:
        folder: Of the run; it need not be there yet.
        checkpoint_bytes: Of each.
        n_kept: Kept ones, beside the best and the last.

    Raises:
        MrlspkError: If not even two fit, so that the last one could not be written before the one before it goes.
    """
    free = shutil.disk_usage(next(each for each in (folder, *folder.absolute().parents) if each.exists())).free
    room = free + sum(path.stat().st_size for path in folder.glob("*.pt"))
    wanted = (n_kept + BESIDE_KEPT) * checkpoint_bytes
    found = f"{_megabytes(free)} are free"
    if room < FEWEST * checkpoint_bytes or free < checkpoint_bytes:
        what = f"a checkpoint takes about {_megabytes(checkpoint_bytes)}, two have to fit, and {found}"
        raise MrlspkError(what, folder, "Make room, or name a folder on another disk in logging.save_dir.")
    if room < wanted:
        log.warning(
            "%s: %d checkpoints of about %s will not fit: %s; make room, or lower logging.keep_last_n (%d)",
            folder,
            n_kept + BESIDE_KEPT,
            _megabytes(checkpoint_bytes),
            found,
            n_kept,
        )


def remove_unfinished(folder: Path) -> None:
    """Remove what a run that was killed while it wrote has left: each may be as large as a checkpoint.

    Raises:
        MrlspkError: If one cannot be removed.
    """
    try:
        for unfinished in folder.glob(".*.partial"):
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise MrlspkError(f"cannot be written: {error.strerror}", folder, "Make the folder writable.") from error


def with_last_good(error: MrlspkError, run_dir: Path) -> MrlspkError:
    """Return the error of a checkpoint that could not be written, which names the one that the run can go on from."""
    last, best = run_dir / LAST, run_dir / BEST
    if last.is_file():
        return MrlspkError(error.what, error.where, f"{_said_of(last)}: make room, and go on with --resume {run_dir}.")
    whole = f" {best} is whole." if best.is_file() else ""
    return MrlspkError(
        error.what, error.where, f"The run has nothing to go on from yet: make room, and begin anew.{whole}"
    )


def _said_of(last: Path) -> str:
    try:
        progress = read_checkpoint(last)[schema.PROGRESS]
    except CheckpointError as error:
        return f"{last} cannot be read either ({error.what})"
    return f"{last}, of step {progress['step']} ({progress['epoch']} epochs done), is whole"


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
