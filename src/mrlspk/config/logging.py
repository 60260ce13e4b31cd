"""Section ``logging``: what a run writes, and where."""

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from mrlspk.config.base import StrictModel


class LoggingConfig(StrictModel):
    """Checkpoints, TensorBoard and Weights & Biases."""

    save_dir: Path = Field(Path("checkpoints"), description="Folder that gets one folder a run.")
    run_name: str | None = Field(None, pattern=r"^[^/\\]+$", description="Folder of the run; null: date and time.")
    save_interval: PositiveInt = Field(1, description="Epochs between two kept checkpoints.")
    save_every_steps: PositiveInt | None = Field(
        None, description="Optimiser steps between two writings of last.pt; null: not by steps."
    )
    save_every_minutes: PositiveFloat | None = Field(
        30.0, description="Minutes between two writings of last.pt within an epoch; null: not by time."
    )
    keep_last_n: NonNegativeInt = Field(3, description="Kept checkpoints beside best.pt and last.pt.")
    log_interval: PositiveInt = Field(10, description="Optimiser steps between two log entries.")
    tensorboard: bool = Field(True, description="Write TensorBoard events.")
    log_dir: Path = Field(Path("logs"), description="Folder of TensorBoard events, one folder a run.")
    wandb: bool = Field(False, description="Log to Weights & Biases; the key is WANDB_API_KEY, in .env for example.")
    wandb_project: str = Field("mrlspk", description="Project there.")
    wandb_run_name: str | None = Field(None, description="Name of the run there; null: that of the run's folder.")
    wandb_watch_model: bool = Field(False, description="Send histograms of gradients and weights there too.")
    wandb_tags: tuple[str, ...] = Field((), description="Tags of the run there.")
