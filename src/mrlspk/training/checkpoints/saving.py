"""When a run is saved within an epoch, and how it is at the end of one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mrlspk.distributed import failing_together
from mrlspk.errors import MrlspkError
from mrlspk.models.checkpoints import save_checkpoint
from mrlspk.training.checkpoints.checkpoint import LAST, process_entries, run_entries, save_epoch
from mrlspk.training.checkpoints.disk import with_last_good
from mrlspk.training.records import Progress, ValidationResult
from mrlspk.training.state import RunState


class Saver:
    """Writes the checkpoints of a run; every process calls it, the first one writes.

    Args:
        state: Of the run.
        run_dir: Where they go.
        every_steps: Steps of the run between two writings of ``last.pt``; None: not by steps.
        every_minutes: Minutes between two; None: not by time.
        keep_every: Epochs between two that are kept.
        keep_last_n: Kept ones.
    """

    def __init__(
        self,
        state: RunState,
        run_dir: Path,
        *,
        every_steps: int | None,
        every_minutes: float | None,
        keep_every: int,
        keep_last_n: int,
    ) -> None:
        self._state, self._run_dir = state, run_dir
        self._every_steps, self._every_minutes = every_steps, every_minutes
        self._keep_every, self._keep_last_n = keep_every, keep_last_n
        self._last: Progress | None = None
        self._saved = time.monotonic()

    @property
    def is_time(self) -> bool:
        """Whether so much time has gone by, in the first process, that ``last.pt`` is due."""
        minutes = self._every_minutes
        return self._state.ranks.is_first and minutes is not None and time.monotonic() - self._saved >= 60 * minutes

    def is_due(self, n_steps: int) -> bool:
        """Return whether it is due after so many steps of the run."""
        return self._every_steps is not None and n_steps % self._every_steps == 0

    def save_within(self) -> None:
        """Write ``last.pt`` at a moment without figures, if it is not there of that moment already.

        Such moments are within an epoch, and before it is validated.

        Raises:
            MrlspkError: If it cannot be written; the one before is as it was, and is named.
        """
        if self._state.progress == self._last:
            return
        with self._writing() as of_all:
            if self._state.ranks.is_first:
                save_checkpoint(self._run_dir / LAST, run_entries(self._state) | of_all)
        self._last = self._state.progress

    def save_epoch(self, validation: ValidationResult, *, best_name: str | None) -> None:
        """Write what an epoch leaves: `save_epoch`.

        Raises:
            MrlspkError: If a file cannot be written; ``last.pt`` is then as it was, and is named.
        """
        with self._writing() as of_all:
            if self._state.ranks.is_first:
                entries = run_entries(self._state, validation) | of_all
                keep = self._state.progress.epoch % self._keep_every == 0
                save_epoch(self._run_dir, entries, best_name=best_name, keep=keep, keep_last_n=self._keep_last_n)

    @contextmanager
    def _writing(self) -> Iterator[dict[str, Any]]:
        """Give what all processes add to a checkpoint; an error of the first is one of all."""
        of_all = process_entries(self._state)
        with failing_together(self._state.ranks):
            try:
                yield of_all
            except MrlspkError as error:
                raise with_last_good(error, self._run_dir) from error
        self._saved = time.monotonic()


def build_saver(state: RunState) -> Saver:
    """Return what saves a run as often as section ``logging`` says."""
    config = state.config.logging
    return Saver(
        state,
        state.plan.run_dir,
        every_steps=config.save_every_steps,
        every_minutes=config.save_every_minutes,
        keep_every=config.save_interval,
        keep_last_n=config.keep_last_n,
    )
