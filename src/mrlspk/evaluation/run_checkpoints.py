"""Find the checkpoints of a training run to compare: by epoch, or the candidates of a head run."""

import re
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DataError

CANDIDATES = "rotation", "start", "trained", "best"  # files of a head run, from the simplest on
EPOCH = re.compile(r"epoch-(\d+)\.pt")


@dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint that a run wrote at the end of an epoch, counted from 1."""

    path: Path
    epoch: int


def find_candidates(run: Path) -> tuple[Path, ...]:
    """Return rotation, start, trained head and the best of them, as far as a head run has them; none of other runs."""
    found = tuple(path for name in CANDIDATES if (path := run / f"{name}.pt").is_file())
    return found if run / "rotation.pt" in found and len(found) > 1 else ()


def find_run_checkpoints(run: Path) -> tuple[RunCheckpoint, ...]:
    """Return the kept checkpoints of a run, by epoch.

    Raises:
        DataError: If there are fewer than two.
    """
    found = [(EPOCH.fullmatch(path.name), path) for path in run.iterdir()]
    checkpoints = sorted((int(match[1]), path) for match, path in found if match)
    if len(checkpoints) < 2:
        raise DataError(
            f"expected a run with at least two checkpoints epoch-NNN.pt, got {len(checkpoints)}",
            run,
            "Name checkpoints one by one, or train with logging.keep_last_n higher.",
        )
    return tuple(RunCheckpoint(path, epoch) for epoch, path in checkpoints)
