"""Log a run to Weights & Biases, with histograms of weights and gradients on request."""

import json
import logging
import secrets
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mrlspk.errors import MrlspkError
from mrlspk.files import whole_file
from mrlspk.training.records import RunFacts, StepRecord
from mrlspk.training.run_log.json_log import Entry, read_entries
from mrlspk.training.run_log.scalars import ScalarLog, scalars_of, summary_of

if TYPE_CHECKING:
    import wandb

log = logging.getLogger("mrlspk.training")

RUN_FILE = "wandb.json"
RETRIES, TIMEOUT_SECONDS = 2, 10.0  # of a request for the run; without a network, W&B waits for them twice
PATIENCE_SECONDS = 60.0  # for the last metrics at the end


class WandbLog(ScalarLog):
    """Send a run to Weights & Biases; WANDB_MODE=offline keeps it on this machine.

    The W&B run id is kept in the run's folder, so that a resumed run continues the same W&B run. On resume, all lines
    of ``metrics.jsonl`` that W&B lacks are sent. An offline run has a folder for each start; the newest holds all.

    Each line of ``metrics.jsonl`` is one row. The row number is twice the optimiser step, plus one for an epoch, so
    that W&B refuses rows that a resumed run sends again. Curves are drawn over ``step``.

    Args:
        run_dir: Folder of the run.
        metrics: The file ``metrics.jsonl``.
        interval: Optimiser steps between two that are sent.
        project: The W&B project.
        name: The name of the W&B run.
        tags: The tags of the W&B run.
        watched: Module whose weights and gradients are sent as histograms with every step; None: no histograms.
    """

    name = "Weights & Biases"
    remedy = "Set WANDB_API_KEY in .env to log in, or WANDB_MODE=offline to keep the run on this machine."

    def __init__(
        self,
        run_dir: Path,
        *,
        metrics: Path,
        interval: int,
        project: str,
        name: str,
        tags: tuple[str, ...],
        watched: nn.Module | None = None,
    ) -> None:
        super().__init__(metrics=metrics, interval=interval)
        self._run_dir, self._project, self._run_name, self._tags = run_dir, project, name, tags
        self._watched = watched
        self._run: wandb.Run

    def open(self, facts: RunFacts) -> None:
        """Open the run, log its address, and send the lines that it lacks.

        Raises:
            MrlspkError: If the file of its id cannot be read or written.
        """
        import wandb

        self._run = run = wandb.init(
            id=_run_id(self._run_dir / RUN_FILE, resumes=facts.resumes),
            resume="allow",
            project=self._project,
            name=self._run_name,
            tags=self._tags,
            dir=str(self._run_dir.absolute()),  # absolute: W&B writes in another process
            settings=wandb.Settings(x_graphql_retry_max=RETRIES, x_graphql_timeout_seconds=TIMEOUT_SECONDS),
        )
        self._log_address()
        # After init, where old values would take precedence; W&B has no type for this call.
        run.config.update(facts.config, allow_val_change=True)  # type: ignore[no-untyped-call]
        run.summary.update(summary_of(facts))
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        for entry in read_entries(self._metrics):
            if row_of(entry) >= run.starting_step:
                self.send(entry)

    def _log_address(self) -> None:
        run = self._run
        if run.url:
            log.info("%s: %s", self.name, run.url)
        elif run.offline:
            folder = run.settings.sync_dir
            log.info("%s: offline, in %s; upload it with 'wandb sync %s'", self.name, folder, folder)
        else:
            log.info("%s: disabled by WANDB_MODE", self.name)

    def step_done(self, record: StepRecord) -> None:
        """Send every ``interval``-th step and its histograms."""
        if self._is_open and self._watched is not None and record.step % self._interval == 0:
            with self._failing_softly():
                self._send_histograms(self._watched, 2 * record.step)
        super().step_done(record)

    def _send_histograms(self, module: nn.Module, row: int) -> None:
        import wandb

        histograms = {
            name: wandb.Histogram(np_histogram=(np.array(found.counts), np.array(found.edges)))
            for name, found in module_histograms(module)
        }
        self._run.log(histograms, step=row, commit=False)

    def send(self, entry: Entry) -> None:
        """Send the scalars of a line as a row; the best metrics go to the summary too."""
        scalars = scalars_of(entry)
        self._run.log({"step": entry["step"], **scalars}, step=row_of(entry), commit=True)
        best = {name: value for name, value in scalars.items() if name.startswith("best/")}
        if best:
            self._run.summary.update(best)

    def close(self) -> None:
        """Finish the W&B run, as failed if an exception is being raised, and wait for it `PATIENCE_SECONDS` at most.

        Without a network, W&B would wait for hours and delay the results of the run.
        """
        exit_code, ending = (1 if sys.exception() else 0), Future[None]()

        def finish() -> None:
            try:
                ending.set_result(self._run.finish(exit_code=exit_code))
            except self.failures() as error:
                ending.set_exception(error)

        Thread(target=finish, name="wandb-finish", daemon=True).start()
        try:
            ending.result(timeout=PATIENCE_SECONDS)
        except TimeoutError:
            log.warning(
                "%s is still sending metrics and keeps trying until this process ends. The run is complete; send the "
                "rest later with 'wandb sync %s'",
                self.name,
                self._run.settings.sync_dir,
            )

    def failures(self) -> tuple[type[Exception], ...]:
        """Return the exceptions of a missing package, wrong settings, the network and a dead service."""
        try:
            from wandb.errors import Error
            from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError
        except ImportError:
            return (ImportError,)
        return (Error, HandleAbandonedError, MailboxClosedError, ImportError, OSError, ValidationError)


def row_of(entry: Entry) -> int:
    """Return the number of the W&B row of a step or an epoch."""
    step: int = entry["step"]
    return 2 * step + 1 if entry["event"] == "epoch" else 2 * step


def _run_id(path: Path, *, resumes: bool) -> str:
    """Return the id in ``path`` for a resumed run, or write a new one.

    Raises:
        MrlspkError: If the file cannot be read or written.
    """
    if resumes and path.exists():
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MrlspkError(
                "expected the id of a Weights & Biases run", path, "Remove the file; a new W&B run begins."
            ) from error
    run_id = secrets.token_hex(4)
    with whole_file(path, force=True) as partial:
        partial.write_text(json.dumps({"id": run_id}) + "\n", encoding="utf-8")
    return run_id


BINS = 64


@dataclass(frozen=True)
class Histogram:
    """Counts of values between successive edges; there is one edge more than counts."""

    counts: list[int]
    edges: list[float]


def histogram(values: Tensor, *, bins: int = BINS) -> Histogram | None:
    """Return the histogram of the finite ``values``, of any shape; None if there are none.

    A bin includes its lower edge, the last one its upper edge too. Equal values lie in the middle of a range of 1.
    Counting in integers gives the same result in every run, on a GPU too.
    """
    flat = values.detach().flatten().float()
    flat = flat[flat.isfinite()]
    if not flat.numel():
        return None
    low, high = (edge.item() for edge in flat.aminmax())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = torch.linspace(low, high, bins + 1, device=flat.device)
    place = torch.bucketize(flat, edges[1:-1], right=True)
    counts: list[int] = torch.bincount(place, minlength=bins).tolist()
    found: list[float] = edges.tolist()
    return Histogram(counts, found)


def module_histograms(module: nn.Module) -> Iterator[tuple[str, Histogram]]:
    """Yield the histograms of all parameters, and of the gradients that exist, by name."""
    for name, parameter in module.named_parameters():
        for kind, values in (("parameters", parameter), ("gradients", parameter.grad)):
            found = None if values is None else histogram(values)
            if found is not None:
                yield f"{kind}/{name}", found
