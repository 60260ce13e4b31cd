"""Where a run is logged: always ``metrics.jsonl``, TensorBoard and Weights & Biases where they are wanted."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mrlspk.config.logging import LoggingConfig
from mrlspk.errors import MissingDependencyError
from mrlspk.training.records import EpochRecord, Observer, RunFacts, StepRecord


class JsonLog:
    """One JSON object a line: steps and epochs, in order; a resumed run goes on at the end."""

    def __init__(self, path: Path, *, interval: int) -> None:
        self._path, self._interval = path, interval

    def run_started(self, facts: RunFacts) -> None:
        """Write what the run is about."""
        self._write({"event": "run", **asdict(facts)})

    def step_done(self, record: StepRecord) -> None:
        """Write every ``interval``-th step."""
        if record.step % self._interval == 0:
            self._write({"event": "step", **asdict(record)})

    def epoch_done(self, record: EpochRecord) -> None:
        """Write the epoch."""
        self._write({"event": "epoch", **asdict(record)})

    def run_ended(self) -> None:
        """Nothing is open between two lines."""

    def _write(self, entry: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


class ScalarLog(ABC):
    """Sends named scalars to a tracker; what TensorBoard and Weights & Biases have in common."""

    def __init__(self, *, interval: int) -> None:
        self._interval = interval

    @abstractmethod
    def run_started(self, facts: RunFacts) -> None:
        """Open the tracker."""

    @abstractmethod
    def run_ended(self) -> None:
        """Close the tracker."""

    @abstractmethod
    def write_scalars(self, scalars: dict[str, float], step: int) -> None:
        """Send ``scalars`` as of optimiser step ``step``."""

    def step_done(self, record: StepRecord) -> None:
        """Send every ``interval``-th step."""
        if record.step % self._interval:
            return
        scalars = {
            "train/loss": record.loss,
            "train/learning_rate": record.learning_rate,
            "train/margin": record.margin,
            "train/gradient_norm": record.gradient_norm,
            "train/utterances_per_second": record.utterances_per_second,
        }
        scalars |= {f"train/loss_{dim}": loss for dim, loss in record.loss_by_dim.items()}
        self.write_scalars(scalars, record.step)

    def epoch_done(self, record: EpochRecord) -> None:
        """Send the figures of an epoch."""
        validation = record.validation
        scalars = {
            "epoch": float(record.epoch),
            "validation/loss": validation.loss,
            "validation/mean_log_eer": validation.mean_log_eer,
        }
        scalars |= {f"validation/eer_{dim}": eer for dim, eer in validation.eer.items()}
        scalars |= {f"validation/min_dcf_{dim}": cost for dim, cost in validation.min_dcf.items()}
        self.write_scalars(scalars, record.step)


class TensorBoardLog(ScalarLog):
    """TensorBoard events."""

    def __init__(self, folder: Path, *, interval: int) -> None:
        super().__init__(interval=interval)
        self._folder = folder

    def run_started(self, facts: RunFacts) -> None:
        """Open the event file, with the configuration as text."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder))
        self._writer.add_text("config", f"```\n{json.dumps(facts.config, indent=2)}\n```")

    def write_scalars(self, scalars: dict[str, float], step: int) -> None:
        """Add the scalars."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def run_ended(self) -> None:
        """Write what is buffered."""
        if hasattr(self, "_writer"):
            self._writer.close()


class WandbLog(ScalarLog):
    """Weights & Biases; WANDB_MODE=offline keeps the run on this machine."""

    def __init__(self, *, project: str, name: str, tags: tuple[str, ...], folder: Path, interval: int) -> None:
        super().__init__(interval=interval)
        self._settings: dict[str, Any] = {"project": project, "name": name, "tags": tags, "dir": str(folder)}
        self._run: Any = None

    def run_started(self, facts: RunFacts) -> None:
        """Open the run, with the configuration.

        Raises:
            MissingDependencyError: If it cannot be opened: no key, or no network.
        """
        import wandb

        try:
            self._run = wandb.init(config=facts.config, **self._settings)
        except wandb.errors.Error as error:
            raise MissingDependencyError(
                f"Weights & Biases cannot be used: {error}",
                "logging.wandb",
                "Put WANDB_API_KEY into .env, set WANDB_MODE=offline, or set logging.wandb=false.",
            ) from error

    def write_scalars(self, scalars: dict[str, float], step: int) -> None:
        """Log the scalars; a step gets all of its scalars before the next."""
        self._run.log(scalars, step=step)

    def run_ended(self) -> None:
        """Finish the run."""
        if self._run is not None:
            self._run.finish()


def build_run_log(config: LoggingConfig, run_dir: Path) -> list[Observer]:
    """Return the observers that section ``logging`` asks for; ``metrics.jsonl`` is always among them."""
    interval = config.log_interval
    logs: list[Observer] = [JsonLog(run_dir / "metrics.jsonl", interval=interval)]
    if config.tensorboard:
        logs.append(TensorBoardLog(config.log_dir / run_dir.name, interval=interval))
    if config.wandb:
        name = config.wandb_run_name or run_dir.name
        logs.append(
            WandbLog(project=config.wandb_project, name=name, tags=config.wandb_tags, folder=run_dir, interval=interval)
        )
    return logs
