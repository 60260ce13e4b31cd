"""Sections ``hardware`` and ``logging``: devices and precision, checkpoints and logs."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mrlspk.config.base import Count, CountOrZero, Factor, StrictModel
from mrlspk.errors import shorten

MOST_NAME_BYTES = 200  # a file system takes 255; names of lock files have a suffix


def _check_folder_name(name: str) -> str:
    is_odd = name in {"", ".", ".."} or not name.isprintable() or name != name.strip() or {*name} & {*"/\\"}
    if is_odd or len(name.encode()) > MOST_NAME_BYTES:
        raise ValueError(
            f"expected the name of a folder: up to {MOST_NAME_BYTES} bytes, neither . nor .., without / and \\, "
            "control characters, and white space at its ends"
        )
    return name


def _check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,4})?", name):
        raise ValueError(f"expected auto, cpu, cuda, cuda:N or mps, got {shorten(name)!r}")
    return name


class HardwareConfig(StrictModel):
    """Devices, precision and speed."""

    device: Annotated[str, AfterValidator(_check_device)] = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    devices: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="Processes on each machine, one for each GPU; torchrun and SLURM set it themselves."
    )
    nodes: Annotated[int, Field(ge=1, le=65_536)] = Field(
        1, description="Machines; torchrun and SLURM set it themselves."
    )
    strategy: Literal["ddp"] = Field("ddp", description="Distribution over processes; ddp: each has the whole model.")
    sync_batchnorm: bool = Field(
        False, description="Compute the statistics of a trained BatchNorm over all processes; needs GPUs."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Autocast of the network; the mel front end stays in float32."
    )
    tf32: bool = Field(False, description="Let GPUs round float32 products to TF32: faster, less exact.")
    channels_last: bool = Field(False, description="Use the channels_last memory format.")
    compile: bool = Field(False, description="Compile the network with torch.compile; the first steps take minutes.")
    gradient_checkpointing: bool = Field(
        False, description="Recompute each stage of the backbone in the backward pass: less memory, more time."
    )


class LoggingConfig(StrictModel):
    """Checkpoints, TensorBoard and Weights & Biases."""

    save_dir: Path = Field(Path("checkpoints"), description="Folder of runs, one folder each.")
    run_name: Annotated[str, AfterValidator(_check_folder_name)] | None = Field(
        None, description="Folder of the run; null: date and time."
    )
    save_interval: Count = Field(1, description="Epochs between two kept checkpoints.")
    save_every_steps: Count | None = Field(
        None, description="Optimiser steps between two saves of last.pt; null: not by steps."
    )
    save_every_minutes: Factor | None = Field(
        30.0, description="Minutes between two saves of last.pt within an epoch; null: not by time."
    )
    keep_last_n: CountOrZero = Field(3, description="Epoch checkpoints kept beside best.pt and last.pt.")
    log_interval: Count = Field(10, description="Optimiser steps between two log entries; fewer if an epoch has fewer.")
    report: bool = Field(True, description="Write the page of `mrlspk report` into the run's folder when it ends.")
    tensorboard: bool = Field(True, description="Write TensorBoard events.")
    log_dir: Path = Field(Path("logs"), description="Folder of TensorBoard events, one folder per run.")
    wandb: bool = Field(False, description="Log to Weights & Biases; the key is WANDB_API_KEY, in .env for example.")
    wandb_project: str = Field("mrlspk", description="Weights & Biases project.")
    wandb_run_name: str | None = Field(
        None, description="Run name in Weights & Biases; null: that of the run's folder."
    )
    wandb_watch_model: bool = Field(False, description="Log histograms of gradients and weights to Weights & Biases.")
    wandb_tags: tuple[str, ...] = Field((), description="Tags of the run in Weights & Biases.")
