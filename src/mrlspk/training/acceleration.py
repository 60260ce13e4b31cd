"""Apply section ``hardware`` to an encoder and to torch: memory format, compilation, checkpointing, TF32, cuDNN."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mrlspk.config.run import HardwareConfig
from mrlspk.errors import MissingDependencyError
from mrlspk.models.encoder import Encoder

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
