"""Name the scalars of a run, and send them to a tracker without stopping the run if the tracker fails."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrlspk.training.records import EpochRecord, RunFacts, StepRecord
from mrlspk.training.run_log.json_log import Entry, entry_of, read_entries

log = logging.getLogger("mrlspk.training")

# Scalar: its key in a line of metrics.jsonl.
STEP_SCALARS = {
    "train/loss": "loss",
    "train/learning_rate": "learning_rate",
    "train/margin": "margin",
    "train/gradient_norm": "gradient_norm",
    "train/skipped_steps": "n_skipped",
    "speed/utterances_per_second": "utterances_per_second",
    "speed/waiting_share": "waiting_share",
    "memory/mib": "memory_mib",
}
EPOCH_SCALARS = {"epoch/number": "epoch", "epoch/loss": "train_loss", "epoch/seconds": "seconds"}


def scalars_of(entry: Entry) -> dict[str, float]:
    """Return the scalars of a line of ``metrics.jsonl``; null values are left out."""
    if entry["event"] == "step":
        found = _named(STEP_SCALARS, entry) | _by_width("train/loss", entry["loss_by_dim"])
    else:
        validated = _validated(entry["validation"])
        found = _named(EPOCH_SCALARS, entry) | {f"validation/{name}": value for name, value in validated.items()}
        if entry["is_best"]:
            found |= {f"best/{name}": value for name, value in {"epoch": entry["epoch"], **validated}.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def _validated(validation: Entry) -> Entry:
    names = {"loss": "loss", "mean_log_eer": "mean_log_eer"}
    return _named(names, validation) | _by_width("eer", validation["eer"]) | _by_width("min_dcf", validation["min_dcf"])


def _named(names: dict[str, str], entry: Entry) -> Entry:
    return {name: entry.get(key) for name, key in names.items()}  # lines of an earlier version may have fewer keys


def _by_width(name: str, values: Entry) -> Entry:
    return {f"{name}_{dim}": value for dim, value in values.items()}


def summary_of(facts: RunFacts) -> dict[str, int]:
    """Return the model's size by part, and the sizes of the run."""
    return {
        **{f"parameters/{part}": n for part, n in facts.parameters.items()},
        "parameters/trained": facts.trained_parameters,
        "parameters/frozen": facts.frozen_parameters,
        "run/speakers": facts.n_speakers,
        "run/utterances": facts.n_utterances,
        "run/classes": facts.n_classes,
        "run/validation_trials": facts.n_validation_trials,
        "run/processes": facts.n_processes,
        "run/effective_batch": facts.effective_batch,
        "run/steps_per_epoch": facts.steps_per_epoch,
    }


class ScalarLog(ABC):
    """Send the contents of ``metrics.jsonl`` to a tracker as scalars.

    If the tracker fails during the run, one warning is logged, nothing more is sent, and the run continues.

    Attributes:
        name: Name of the tracker.
        remedy: What the user can do if it fails.

    Args:
        metrics: The file ``metrics.jsonl``, without the lines that a resumed run repeats.
        interval: Optimiser steps between two that are sent.
    """

    name: str
    remedy: str

    def __init__(self, *, metrics: Path, interval: int) -> None:
        self._metrics, self._interval = metrics, interval
        self._is_open = False

    @abstractmethod
    def open(self, facts: RunFacts) -> None:
        """Open the tracker with configuration and summary, and send the lines that it lacks."""

    @abstractmethod
    def send(self, entry: Entry) -> None:
        """Send the scalars of ``entry``."""

    @abstractmethod
    def close(self) -> None:
        """Close the tracker after everything is sent."""

    @abstractmethod
    def failures(self) -> tuple[type[Exception], ...]:
        """Return the exceptions that the tracker raises when it fails."""

    def run_started(self, facts: RunFacts) -> None:
        """Open the tracker."""
        with self._failing_softly():
            self.open(facts)
            self._is_open = True

    def step_done(self, record: StepRecord) -> None:
        """Send every ``interval``-th step."""
        if self._is_open and record.step % self._interval == 0:
            with self._failing_softly():
                self.send(entry_of(record))

    def epoch_done(self, record: EpochRecord) -> None:
        """Send the metrics of an epoch."""
        if self._is_open:
            with self._failing_softly():
                self.send(entry_of(record))

    def run_ended(self) -> None:
        """Close the tracker."""
        if self._is_open:
            with self._failing_softly():
                self.close()

    def replay(self, wanted: range) -> None:
        """Send the lines of ``metrics.jsonl`` whose steps are in ``wanted``."""
        for entry in read_entries(self._metrics):
            if entry["step"] in wanted:
                self.send(entry)

    @contextmanager
    def _failing_softly(self) -> Iterator[None]:
        """Continue without the tracker if it fails in the block."""
        try:
            yield
        except self.failures() as error:
            self._is_open = False
            reason = " ".join(str(error).split()) or type(error).__name__
            log.warning(
                "%s failed: %s. The run continues without it; all metrics are in %s. %s",
                self.name,
                reason.rstrip("."),
                self._metrics,
                self.remedy,
            )
