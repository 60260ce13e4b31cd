"""Show the progress of a run on the terminal."""

import logging
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TaskID

from mrlspk.cli import output
from mrlspk.cli.epoch_rows import EpochRows
from mrlspk.cli.progress_bars import build_bars, short_name

if TYPE_CHECKING:
    from mrlspk.training.records import EpochRecord, RunFacts, StepRecord

WAITING = 0.25  # share of a step's time from which waiting for data is shown
GROWTH = 1.1  # of the peak memory, from which it is shown again


class TrainProgress:
    """A bar with loss, rate and time left on a terminal, and a row for every epoch; nothing with ``quiet``."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._log = logging.getLogger("mrlspk.training")
        self._level = self._log.level
        self._console = Console(quiet=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._stages: dict[str, TaskID] = {}
        self._tenths: dict[str, int] = {}
        self._facts: RunFacts | None = None
        self._rows: EpochRows | None = None
        self._waiting_shares: list[float] = []  # of the steps of this epoch
        self._last: StepRecord | None = None
        self._shown_mib = 0.0
        self._n_unreadable = 0

    def __enter__(self) -> "TrainProgress":
        self._level = self._log.level
        if self._quiet:
            return self
        self._log.setLevel(logging.INFO)  # what is stored, its size, and where
        self._console = output.stderr_console()
        if sys.stderr.isatty():
            self._bars = build_bars(self._console)
            self._bars.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._log.setLevel(self._level)
        if self._bars is not None:
            self._bars.stop()

    def stage(self, name: str, done: float, total: int) -> None:
        """Show how many vectors are stored: by a bar until all are, or by a line for every tenth."""
        if self._bars is None:
            tenth = int(10 * done // total)
            if tenth > self._tenths.get(name, 0):
                self._tenths[name] = tenth
                self._say(f"{_label(name)}: {done:,.0f} of {total:,}")
            return
        if name not in self._stages:
            self._stages[name] = self._bars.add_task(short_name(_label(name)), total=total)
        self._bars.update(self._stages[name], completed=done, total=total, visible=done < total)

    def run_started(self, facts: "RunFacts") -> None:
        """Say what is trained, and on what."""
        self._facts = facts
        self._say(
            f"run {facts.run_dir}: {facts.n_utterances} utterances, {facts.n_speakers} speakers "
            f"({facts.n_classes} classes); validation: {facts.n_validation_trials} trials of "
            f"{facts.n_validation_speakers} other speakers; parameters: {facts.trained_parameters:,} trainable, "
            f"{facts.frozen_parameters:,} frozen"
        )
        if facts.n_processes > 1:
            self._say(f"{facts.n_processes} processes, {facts.effective_batch} crops a step")
        if facts.resumes:
            self._say(f"resumes in epoch {facts.first_epoch}, after step {facts.first_step}")
        if facts.transfer:
            self._say(facts.transfer.sentence())
        self._rows = EpochRows(facts.published_dims, facts.num_epochs, facts.baselines)
        self._show(self._rows.header(self._console.width))

    def step_done(self, record: "StepRecord") -> None:
        """Move the bar."""
        self._waiting_shares.append(record.waiting_share)
        self._last = record
        if self._bars is not None and self._facts:
            if self._task is None:
                total = self._facts.steps_per_epoch * self._facts.num_epochs
                self._task = self._bars.add_task("training", total=total, completed=self._facts.first_step)
            self._bars.update(
                self._task,
                description=f"epoch {record.epoch}/{self._facts.num_epochs}",
                completed=record.step,
                remark=f"loss {record.loss:.3f}",
            )

    def epoch_done(self, record: "EpochRecord") -> None:
        """Show the metrics of the epoch."""
        if self._rows is not None:
            self._show(self._rows.row(record, self._console.width))
        self._n_unreadable = record.n_unreadable
        if remarks := ", ".join(self._remarks()):
            self._say(f"  {remarks}")

    def _remarks(self) -> Iterator[str]:
        """Yield what is worth knowing of the steps of the epoch: waiting, memory, skipped steps."""
        shares, self._waiting_shares = self._waiting_shares, []
        if not shares or self._last is None:
            return
        if (waiting := sum(shares) / len(shares)) >= WAITING:
            yield f"waited for data: {waiting:.0%} of the time"
        if self._last.memory_mib >= GROWTH * self._shown_mib:
            self._shown_mib = self._last.memory_mib
            yield f"peak memory: {self._last.memory_mib:,.0f} MiB"
        if self._last.n_skipped:
            yield f"steps skipped so far: {self._last.n_skipped}"
        if self._n_unreadable:
            yield f"unreadable files so far: {self._n_unreadable}"

    def run_ended(self) -> None:
        """Keep the bars: they end with the command."""

    def _show(self, lines: Iterable[str]) -> None:
        for text in lines:
            self._say(text)

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        output.print_piece(self._console, text)


def _label(stage: str) -> str:
    """Return a stage in words: a refit counts steps, the others stored vectors."""
    return "fitting to all speakers" if stage == "refit" else f"storing {stage}"
