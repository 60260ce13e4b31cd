"""``metrics.jsonl``: the plain log that every run has."""

from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.training.records import EpochRecord, RunFacts, StepRecord
from mrlspk.training.run_log.entries import drop_redone, entry_of, line_of


class JsonLog:
    """One JSON object a line: a start of the run, every ``interval``-th step, each epoch; in order, nothing twice.

    Each line is written by itself, and whole in the system's hands before training goes on: a kill loses none.
    """

    def __init__(self, path: Path, *, interval: int) -> None:
        self._path, self._interval = path, interval

    def run_started(self, facts: RunFacts) -> None:
        """Remove what will be done again, and write what the run is about.

        Raises:
            MrlspkError: If the file cannot be written.
        """
        drop_redone(self._path, facts)
        self._write(facts)

    def step_done(self, record: StepRecord) -> None:
        """Write every ``interval``-th step.

        Raises:
            MrlspkError: If the file cannot be written.
        """
        if record.step % self._interval == 0:
            self._write(record)

    def epoch_done(self, record: EpochRecord) -> None:
        """Write the epoch.

        Raises:
            MrlspkError: If the file cannot be written.
        """
        self._write(record)

    def run_ended(self) -> None:
        """Nothing is open between two lines."""

    def _write(self, record: RunFacts | StepRecord | EpochRecord) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line_of(entry_of(record)))
        except OSError as error:
            raise MrlspkError(
                f"cannot be written: {error.strerror or error}",
                self._path,
                "Make room on the disk, or make the folder writable; then go on with --resume.",
            ) from error
