"""Write ``metrics.jsonl``, the log of every run, and read it back."""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mrlspk.errors import MrlspkError
from mrlspk.files import whole_file
from mrlspk.training.records import EpochRecord, RunFacts, StepRecord

log = logging.getLogger("mrlspk.training")

type Entry = dict[str, Any]


class JsonLog:
    """Write one JSON object per line: each start of the run, every ``interval``-th step, each epoch, in order.

    A line is flushed to the system before training continues, so that a kill loses none.
    """

    def __init__(self, path: Path, *, interval: int) -> None:
        self._path, self._interval = path, interval

    def run_started(self, facts: RunFacts) -> None:
        """Remove the lines of steps that will be repeated, and write the facts of the run.

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
        """Do nothing: no file is open between two lines."""

    def _write(self, record: RunFacts | StepRecord | EpochRecord) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line_of(entry_of(record)))
        except OSError as error:
            raise MrlspkError(
                f"cannot be written: {error.strerror or error}",
                self._path,
                "Make room on the disk or make the folder writable; then resume the run with `resume`.",
            ) from error


def entry_of(record: RunFacts | StepRecord | EpochRecord) -> Entry:
    """Return ``record`` as an entry: its kind first, and None in place of numbers that are not finite."""
    kind = {RunFacts: "run", StepRecord: "step", EpochRecord: "epoch"}[type(record)]
    values = record.entry() if isinstance(record, EpochRecord) else asdict(record)
    entry: Entry = _finite({"event": kind, **values})
    return entry


def _finite(value: Any) -> Any:
    """Return ``value`` with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def line_of(entry: Entry) -> bytes:
    """Return ``entry`` as one line of JSON."""
    return json.dumps(entry, allow_nan=False).encode() + b"\n"


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield the steps and epochs of a file of complete lines; nothing if there is no file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            entry: Entry = json.loads(line)
            if entry["event"] != "run":
                yield entry


def drop_redone(path: Path, facts: RunFacts) -> None:
    """Remove the lines of steps that a resumed run repeats, and incomplete lines, from ``path`` if it exists.

    A kill can cut the last line, and can come after steps that no checkpoint holds.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    if not path.exists():
        return
    n_broken = 0
    with whole_file(path, force=True) as partial, path.open("rb") as old, partial.open("wb") as new:
        for line in old:
            entry = _read_line(line)
            n_broken += entry is None
            if entry is not None and _is_kept(entry, facts):
                new.write(line.rstrip(b"\n") + b"\n")
    if n_broken:
        log.warning("%s: removed %d incomplete lines", path, n_broken)


def _read_line(line: bytes) -> Entry | None:
    """Return the entry of a line; None if the line is incomplete."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    known = isinstance(entry, dict) and entry.get("event") in {"run", "step", "epoch"}
    return entry if known else None


def _is_kept(entry: Entry, facts: RunFacts) -> bool:
    """Return whether the run has completed this; an epoch's line is written after its validation."""
    if entry["event"] == "epoch":
        return bool(entry["epoch"] < facts.first_epoch)
    return entry["event"] == "run" or bool(entry["step"] <= facts.first_step)
