"""Manage the folder of a run: the names of its files, its lock, its disk space and the list of its corpus."""

import gzip
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path

from torch import nn
from torch.optim import SGD, Optimizer

from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError, MrlspkError
from mrlspk.files import one_at_a_time, whole_file

log = logging.getLogger("mrlspk.training")

BEST, LAST, AVERAGED = "best.pt", "last.pt", "averaged.pt"
# Files of a head run: the rotated head, the head that training starts from if it is another, and the best epoch.
ROTATION, START, TRAINED = "rotation.pt", "start.pt", "trained.pt"
UNTRAINED = ROTATION, START
CORPUS_LIST = "corpus.txt.gz"  # the training utterances, one id a line
SHOWN_IDS = 3

LOCK_PATIENCE_SECONDS = 20.0  # decoding processes of a killed run hold the lock until they notice
CHECKPOINTS_BESIDE_KEPT = 3  # best.pt, last.pt, and the one that is being written
FEWEST_CHECKPOINTS = 2  # last.pt, and the one that replaces it
ENTRY_BYTES = 350  # of a checkpoint, for each tensor: its name, shape and padding
PLAIN_BYTES = 20_000  # configuration, model card, metrics and random generators
STEP_BYTES = 4  # AdamW counts the steps of each parameter


def kept_epochs(run_dir: Path) -> list[Path]:
    """Return the checkpoints ``epoch-NNN.pt`` of a run, the oldest first."""
    return sorted(run_dir.glob("epoch-*.pt"))


def new_run_dir(config: LoggingConfig, *, replaces_untrained: bool, is_planned: bool = False) -> Path:
    """Return the folder of a new run; ``replaces_untrained`` accepts one whose run stopped before its first step.

    ``is_planned`` only warns of a folder that holds checkpoints.

    Raises:
        MrlspkError: If the folder holds checkpoints.
    """
    run_dir = config.save_dir / (config.run_name or _free_name(config.save_dir))
    found = {path.name for path in run_dir.glob("*.pt")}
    if replaces_untrained and found and found <= set(UNTRAINED):
        log.warning("%s: the run was stopped before its first step and starts again", run_dir)
    elif found and is_planned:
        log.warning("%s: a run of this name exists: to train, choose another logging.run_name", run_dir)
    elif found:
        raise MrlspkError(
            "a run of this name exists", run_dir, f"Choose another logging.run_name, or resume with `resume={run_dir}`."
        )
    return run_dir


def _free_name(save_dir: Path) -> str:
    """Return the time, with a number behind it if another run began within the same second."""
    now = f"{datetime.now():%Y%m%d-%H%M%S}"
    names = (now if number == 1 else f"{now}-{number}" for number in count(1))
    return next(name for name in names if not (save_dir / name).exists())


@contextmanager
def lock_run(run_dir: Path, *, resumes: bool) -> Iterator[None]:
    """Hold the lock of a run in the block, so that no other process writes to its folder.

    The lock file is beside the folder.

    Raises:
        MrlspkError: If another process holds it for `LOCK_PATIENCE_SECONDS`, or began the run meanwhile.
    """
    fix = "Wait for it, end it, or choose another logging.run_name."
    with one_at_a_time(
        run_dir.parent / ".locks" / f"{run_dir.name}.lock",
        on_wait=partial(_warn_of_waiting, run_dir),
        patience_seconds=LOCK_PATIENCE_SECONDS,
        busy=MrlspkError("another process is training this run", run_dir, fix),
    ):
        if not resumes and (run_dir / LAST).is_file():
            raise MrlspkError("another process has begun this run meanwhile", run_dir, fix)
        yield


def _warn_of_waiting(run_dir: Path) -> None:
    log.warning("waiting up to %g s for another process that trains the run %s", LOCK_PATIENCE_SECONDS, run_dir)


def checkpoint_bytes(module: nn.Module, optimiser: Optimizer) -> int:
    """Return the approximate size of a run's checkpoint, also before its first step.

    Args:
        module: Encoder and loss; all their values are saved.
        optimiser: Saves two averages of each trained value (AdamW), or one (SGD with momentum).
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


def check_space(run_dir: Path, *, checkpoint_bytes: int, n_kept: int) -> None:
    """Warn if the checkpoints of a run will not all fit on its disk; present ones of the run count as free space.

    Args:
        run_dir: Folder of the run; it need not exist yet.
        checkpoint_bytes: Size of each.
        n_kept: Number of kept epochs, beside the best and the last checkpoint.

    Raises:
        MrlspkError: If not even two fit: the last one is replaced only once the next is written.
    """
    free = shutil.disk_usage(next(each for each in (run_dir, *run_dir.absolute().parents) if each.exists())).free
    room = free + sum(path.stat().st_size for path in run_dir.glob("*.pt"))
    n_wanted = n_kept + CHECKPOINTS_BESIDE_KEPT
    size, found = _megabytes(checkpoint_bytes), f"{_megabytes(free)} are free"
    if room < FEWEST_CHECKPOINTS * checkpoint_bytes or free < checkpoint_bytes:
        raise MrlspkError(
            f"a checkpoint takes about {size}, two have to fit, and {found}",
            run_dir,
            "Free some disk space, or set logging.save_dir to a folder on another disk.",
        )
    if room < n_wanted * checkpoint_bytes:
        log.warning(
            "%s: %d checkpoints of about %s will not fit: %s; free some disk space, or lower logging.keep_last_n (%d)",
            run_dir,
            n_wanted,
            size,
            found,
            n_kept,
        )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def write_corpus(run_dir: Path, utterance_ids: Sequence[str]) -> None:
    """Write the ids of the training utterances, one a line, compressed.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    text = "".join(f"{utterance_id}\n" for utterance_id in utterance_ids)
    with whole_file(run_dir / CORPUS_LIST, force=True) as partial_file:
        partial_file.write_bytes(gzip.compress(text.encode(), mtime=0))


def describe_corpus_change(run_dir: Path, utterance_ids: Sequence[str]) -> str | None:
    """Return which utterances were added to and removed from the corpus of a run; None if none were.

    Raises:
        CheckpointError: If the list of the run is damaged.
    """
    path = run_dir / CORPUS_LIST
    try:
        before = set(gzip.decompress(path.read_bytes()).decode().splitlines())
    except FileNotFoundError:
        return f"utterances were added, removed or renamed ({CORPUS_LIST}, which lists them, is missing)"
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot be read: {error}", path, "Remove it: it only shows what changed.") from error
    now = set(utterance_ids)
    parts = [_counted(now - before, "added"), _counted(before - now, "removed")]
    return ", ".join(filter(None, parts)) or None


def _counted(utterance_ids: set[str], what: str) -> str:
    if not utterance_ids:
        return ""
    first = sorted(utterance_ids)[:SHOWN_IDS]
    shown = ", ".join(first) + (", …" if len(utterance_ids) > SHOWN_IDS else "")
    return f"{len(utterance_ids)} utterances {what} ({shown})"
