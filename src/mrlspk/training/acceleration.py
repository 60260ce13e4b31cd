"""What section ``hardware`` asks of an encoder and of torch's kernels, before the first step."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mrlspk.config.run import HardwareConfig
from mrlspk.errors import MissingDependencyError
from mrlspk.models.encoder import Encoder

log = logging.getLogger("mrlspk.training")


def build_acceleration(config: HardwareConfig, encoder: Encoder, device: torch.device) -> None:
    """Give an encoder, which may have adapters, the order of memory and the calls of section ``hardware``, in place.

    Parameters keep their names and values, and a copy of the encoder is called as it is.

    Args:
        config: Section ``hardware``.
        encoder: As it is trained, before Fabric wraps it.
        device: That it will be on.

    Raises:
        MissingDependencyError: If it is to be compiled, and this machine has no compiler for the device.
    """
    if config.compile:
        check_compiler(device)
    encoder.optimise(
        channels_last=config.channels_last, compiled=config.compile, recomputed=config.gradient_checkpointing
    )


def warn_of_idle_keys(config: HardwareConfig) -> None:
    """Name the keys of section ``hardware`` that do nothing where the network is only passed to store vectors."""
    asked = {
        "hardware.compile": config.compile,
        "hardware.channels_last": config.channels_last,
        "hardware.gradient_checkpointing": config.gradient_checkpointing,
        "hardware.sync_batchnorm": config.sync_batchnorm,
    }
    if idle := [key for key, is_asked in asked.items() if is_asked]:
        log.warning("of no use where the head alone is trained: %s", ", ".join(idle))


def set_tf32(*, allowed: bool) -> None:
    """Let GPUs round float32 products to TF32 or not, those of matrices and those of convolutions alike.

    By itself torch rounds those of convolutions alone.
    """
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def fixed_shapes(*, searched: bool) -> Iterator[None]:
    """Let cuDNN time its kernels for each new shape, and take the fastest, within a ``with`` block.

    Worth it for crops of one length, not for whole files: leave the block to validate. The kernels found differ from
    one process to the next, and so do the last bits of what they compute.

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
    """Compile a sum for ``device``, so that a machine that cannot is found out before the run.

    Raises:
        MissingDependencyError: If it cannot be compiled.
    """
    from torch._dynamo.exc import TorchDynamoException  # a second of imports, for those alone who compile

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
