"""Log a run: always to ``metrics.jsonl``, on request to TensorBoard and Weights & Biases."""

from pathlib import Path

from torch import nn

from mrlspk.config.run import LoggingConfig
from mrlspk.training.records import Observer
from mrlspk.training.run_log.json_log import JsonLog
from mrlspk.training.run_log.tensorboard_log import TensorBoardLog
from mrlspk.training.run_log.wandb_log import WandbLog

METRICS = "metrics.jsonl"


def build_run_log(config: LoggingConfig, run_dir: Path, *, module: nn.Module, steps_per_epoch: int) -> list[Observer]:
    """Return the observers that section ``logging`` asks for; ``metrics.jsonl`` is first, because the others read it.

    Args:
        config: Section ``logging``.
        run_dir: Folder of the run.
        module: The trained module, not wrapped, for histograms of its weights.
        steps_per_epoch: Optimiser steps; one of each epoch is logged at least.
    """
    metrics, interval = run_dir / METRICS, min(config.log_interval, steps_per_epoch)
    logs: list[Observer] = [JsonLog(metrics, interval=interval)]
    if config.tensorboard:
        logs.append(TensorBoardLog(config.log_dir / run_dir.name, metrics=metrics, interval=interval))
    if config.wandb:
        logs.append(
            WandbLog(
                run_dir,
                metrics=metrics,
                interval=interval,
                project=config.wandb_project,
                name=config.wandb_run_name or run_dir.name,
                tags=config.wandb_tags,
                watched=module if config.wandb_watch_model else None,
            )
        )
    return logs
