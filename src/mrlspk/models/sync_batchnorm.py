"""Synchronise BatchNorm statistics over the processes of a run."""

import torch
from torch import nn

from mrlspk.config.run import HardwareConfig
from mrlspk.errors import ConfigError


class SyncBatchNorm1d(nn.SyncBatchNorm, nn.BatchNorm1d):
    """A `BatchNorm1d` with the statistics of all processes in training; otherwise it is a plain one."""

    process_group = None


class SyncBatchNorm2d(nn.SyncBatchNorm, nn.BatchNorm2d):
    """The same for `BatchNorm2d`."""

    process_group = None


STANDS_FOR: dict[type[nn.Module], type[nn.Module]] = {SyncBatchNorm1d: nn.BatchNorm1d, SyncBatchNorm2d: nn.BatchNorm2d}


def build_sync_batchnorm(config: HardwareConfig, module: nn.Module, *, device: torch.device, n_processes: int) -> None:
    """Synchronise every BatchNorm of a module over all processes, if ``hardware.sync_batchnorm`` is true.

    Call it before the module is compiled or wrapped. The module of a single process stays as it is.

    Args:
        config: The section ``hardware``.
        module: The encoder.
        device: Of the training.
        n_processes: Number of processes that train the module.

    Raises:
        ConfigError: If the device is not a GPU, which torch needs for it.
    """
    if not config.sync_batchnorm:
        return
    if device.type != "cuda":
        what = f"needs GPUs, and the device is {device.type}"
        fix = "Set it to false; training.freeze_norm_statistics=true trains alike on any number of processes."
        raise ConfigError(what, "hardware.sync_batchnorm", fix)
    if n_processes > 1:
        synchronise(module)


def synchronise(module: nn.Module) -> None:
    """Let every BatchNorm of ``module`` compute its statistics over all processes while it is in training mode.

    Each stays the same object with its name, weights, statistics and mode, so that checkpoints and optimisers stay
    valid. In evaluation mode, also when it is frozen, it normalises as before without communication.
    """
    for kind, plain in STANDS_FOR.items():
        for norm in module.modules():
            if type(norm) is plain:
                norm.__class__ = kind
