"""Show the progress of a run on the terminal."""

import logging
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from mrlspk.cli import output
from mrlspk.cli.eval import LABELS
from mrlspk.cli.output import rate_table

if TYPE_CHECKING:
    from mrlspk.training.records import Baselines, EpochRecord, RunFacts, StepRecord


class TrainProgress:
    """A bar with loss, rate and time left on a terminal, and a line for every epoch; nothing with ``quiet``."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._log = logging.getLogger("mrlspk.training")
        self._level = self._log.level
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._stages: dict[str, TaskID] = {}
        self._tenths: dict[str, int] = {}
        self._facts: RunFacts | None = None
        self._waiting_shares: list[float] = []  # of the steps of this epoch
        self._last: StepRecord | None = None

    def __enter__(self) -> "TrainProgress":
        self._level = self._log.level
        if not self._quiet:
            self._log.setLevel(logging.INFO)  # what is stored, its size, and where
        if not self._quiet and sys.stderr.isatty():
            metrics = TextColumn("loss {task.fields[loss]:.3f}  lr {task.fields[rate]:.2e}  {task.fields[speed]:.0f}/s")
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                metrics,
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=output.stderr_console())
            self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._log.setLevel(self._level)
        if self._bar is not None:
            self._bar.stop()

    def stage(self, name: str, done: float, total: int) -> None:
        """Show how many vectors are stored: by a bar, or by a line for every tenth."""
        if self._bar is None:
            tenth = int(10 * done // total)
            if tenth > self._tenths.get(name, 0):
                self._tenths[name] = tenth
                self._say(f"storing {name}: {done:,.0f} of {total:,}")
            return
        if name not in self._stages:
            self._stages[name] = self._bar.add_task(f"storing {name}", total=total, loss=0.0, rate=0.0, speed=0.0)
        self._bar.update(self._stages[name], completed=done, total=total)

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
        if facts.baselines:
            self._show(baseline_table(facts.baselines))
        if self._bar is not None:
            total = facts.steps_per_epoch * facts.num_epochs
            self._task = self._bar.add_task(
                "training", total=total, completed=facts.first_step, loss=0.0, rate=0.0, speed=0.0
            )

    def step_done(self, record: "StepRecord") -> None:
        """Move the bar."""
        self._waiting_shares.append(record.waiting_share)
        self._last = record
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=f"epoch {record.epoch}",
                completed=record.step,
                loss=record.loss,
                rate=record.learning_rate,
                speed=record.utterances_per_second,
            )

    def epoch_done(self, record: "EpochRecord") -> None:
        """Show the metrics of the epoch."""
        total = self._facts.num_epochs if self._facts else record.epoch
        eers = "  ".join(f"{dim}: {eer:.2%}" for dim, eer in record.validation.eer.items())
        best = "  new best" if record.is_best else ""
        self._say(
            f"epoch {record.epoch}/{total}  loss {record.train_loss:.3f}  val loss {record.validation.loss:.3f}  "
            f"EER {eers}  {record.seconds:.0f} s{self._epoch_steps()}{best}"
        )
        if self._facts and self._facts.baselines:
            self._show(epoch_table(self._facts.baselines, record.validation.eer, f"epoch {record.epoch}"))

    def _epoch_steps(self) -> str:
        """Return a summary of the steps of the epoch: waiting, memory, skipped steps."""
        shares, self._waiting_shares = self._waiting_shares, []
        if not shares or self._last is None:
            return ""
        skipped = f"  steps skipped so far: {self._last.n_skipped}" if self._last.n_skipped else ""
        return f"  data wait {sum(shares) / len(shares):.0%}  peak {self._last.memory_mib:,.0f} MiB{skipped}"

    def run_ended(self) -> None:
        """Keep the bar: it ends with the command."""

    def _show(self, table: Table) -> None:
        if not self._quiet:
            (self._bar.console if self._bar is not None else output.stderr_console()).print(table)

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(text)
        else:
            output.note(text)


def baseline_table(baselines: "Baselines") -> Table:
    """Return the EERs by width of the model before training: own embedding, truncation, rotation."""
    return rate_table(baselines.own_dim, baselines.own, _baseline_rows(baselines), dims=tuple(baselines.rotation))


def epoch_table(baselines: "Baselines", eer: dict[int, float], name: str) -> Table:
    """Return the EERs by width of the baselines and of one epoch."""
    return rate_table(baselines.own_dim, baselines.own, {**_baseline_rows(baselines), name: eer}, dims=tuple(eer))


def _baseline_rows(baselines: "Baselines") -> dict[str, dict[int, float]]:
    return {
        LABELS["truncation"]: baselines.truncation,
        f"rotation ({baselines.rotation_method})": baselines.rotation,
    }
