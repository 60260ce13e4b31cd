"""Apply section ``hardware``: build Fabric; set memory format, compilation, gradient checkpointing and TF32."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from mrlspk.config import Config
from mrlspk.config.launcher import Launch
from mrlspk.config.run import HardwareConfig
from mrlspk.errors import ConfigError, MissingDependencyError
from mrlspk.inference.torch_device import find_device
from mrlspk.models.encoder import Encoder

ALONE = Launch()
# Timeout of collective calls: the first process may wait for the lock of a store, or check a large one. Launchers
# detect dead processes.
TIMEOUT = timedelta(days=1)
STRATEGIES = {"ddp": DDPStrategy}
PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def build_fabric(config: HardwareConfig, *, launch: Launch = ALONE, leaves_unused: bool = False) -> Fabric:
    """Return Fabric with the devices, processes and precision of section ``hardware``; nothing is started yet.

    Args:
        config: Section ``hardware``.
        launch: How this process was started; torchrun and SLURM set the number of processes.
        leaves_unused: Whether some steps leave trained parameters without a gradient.

    Raises:
        ConfigError: If the device does not support the precision, or so many processes.
        MissingDependencyError: If this machine has no such device.
    """
    device = find_device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"fp16 needs a GPU, and the device is {device.type}", "hardware.precision", "Use bf16.")
    processes, nodes = launch.processes or config.devices, launch.nodes or config.nodes
    if launch.processes and config.devices not in {1, processes}:
        raise ConfigError(
            f"{config.devices} processes on each machine are configured, and {processes} were started",
            "hardware.devices",
            "Start as many with torchrun or srun, or remove the key.",
        )
    precision = PRECISIONS[config.precision]
    if processes * nodes == 1:
        devices = [device.index or 0] if device.type == "cuda" else 1
        return Fabric(accelerator=device.type, devices=devices, precision=precision)
    _check_shared_devices(config, device, processes)
    strategy = STRATEGIES[config.strategy](find_unused_parameters=leaves_unused, timeout=TIMEOUT)
    return Fabric(accelerator=device.type, devices=processes, num_nodes=nodes, strategy=strategy, precision=precision)


def leaves_unused(config: Config) -> bool:
    """Return whether some steps of a run leave trained parameters without a gradient."""
    frozen_at_first = bool(config.training.freeze_backbone_epochs)
    return frozen_at_first or (config.loss.n_dims_per_step is not None and config.loss.class_matrix == "per_width")


def _check_shared_devices(config: HardwareConfig, device: torch.device, processes: int) -> None:
    """Refuse to share a device other than a CPU between processes.

    Raises:
        ConfigError: If processes would share one.
    """
    if device.type == "mps" or device.index is not None:
        raise ConfigError(
            f"{processes} processes on a machine cannot share the device {config.device}",
            "hardware.device",
            "Use cuda or cpu; each process gets the GPU of its own number.",
        )
    if device.type == "cuda" and processes > torch.cuda.device_count():
        raise ConfigError(
            f"{processes} processes on a machine need as many GPUs, and there are {torch.cuda.device_count()}",
            "hardware.devices",
            "Start as many processes as there are GPUs.",
        )


def fabric_of_one(device: torch.device, precision: str) -> Fabric:
    """Return Fabric for this process alone.

    Args:
        device: Of this process.
        precision: As ``hardware.precision``.
    """
    devices = [device.index or 0] if device.type == "cuda" else 1
    return Fabric(accelerator=device.type, devices=devices, precision=PRECISIONS[precision])


log = logging.getLogger("mrlspk.training")


def build_acceleration(config: HardwareConfig, encoder: Encoder, device: torch.device) -> None:
    """Set memory format, compilation and gradient checkpointing of an encoder, which may have adapters, in place.

    Parameters keep their names and values; copies of the encoder keep the settings.

    Args:
        config: Section ``hardware``.
        encoder: Before Fabric wraps it.
        device: The device that it will be on.

    Raises:
        MissingDependencyError: If compilation is asked for and this machine has no compiler for the device.
    """
    if config.compile:
        check_compiler(device)
    encoder.optimise(
        channels_last=config.channels_last, compiled=config.compile, recomputed=config.gradient_checkpointing
    )


def warn_of_idle_keys(config: HardwareConfig) -> None:
    """Warn of keys of section ``hardware`` that have no effect when only the head is trained."""
    asked = {
        "hardware.compile": config.compile,
        "hardware.channels_last": config.channels_last,
        "hardware.gradient_checkpointing": config.gradient_checkpointing,
        "hardware.sync_batchnorm": config.sync_batchnorm,
    }
    if idle := [key for key, is_asked in asked.items() if is_asked]:
        log.warning("no effect when only the head is trained: %s", ", ".join(idle))


def set_tf32(*, allowed: bool) -> None:
    """Let GPUs round float32 products to TF32 or not, in matrix products and convolutions alike.

    By default torch rounds only those of convolutions.
    """
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def fixed_shapes(*, searched: bool) -> Iterator[None]:
    """Let cuDNN time its kernels for each new shape and use the fastest, within a ``with`` block.

    It pays off for crops of one length, not for whole files: leave the block to validate. The kernels differ from one
    process to the next, and so do the last bits of their results.

    Args:
        searched: False changes nothing.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or searched
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def check_compiler(device: torch.device) -> None:
    """Compile a sum for ``device``, to find a machine without a compiler before the run.

    Raises:
        MissingDependencyError: If compilation fails.
    """
    from torch._dynamo.exc import TorchDynamoException  # a second of imports, only needed to compile

    try:
        torch.compile(_sum)(torch.ones(8, device=device))
    except TorchDynamoException as error:
        raise MissingDependencyError(
            f"torch.compile has no working compiler for {device.type}: {str(error).splitlines()[0]}",
            "hardware.compile",
            "Install a C++ compiler, such as g++, and for a GPU Triton too, or set it to false.",
        ) from error


def _sum(values: torch.Tensor) -> torch.Tensor:
    return (values + 1).sum()
