"""Batch normalisation by the statistics of all processes' crops."""

import torch
from torch import nn

from mrlspk.config.run import HardwareConfig
from mrlspk.errors import ConfigError


class SyncBatchNorm1d(nn.SyncBatchNorm, nn.BatchNorm1d):
    """A `BatchNorm1d` in training by several processes; in all else, its kind too, what it was."""

    process_group = None


class SyncBatchNorm2d(nn.SyncBatchNorm, nn.BatchNorm2d):
    """The same of a `BatchNorm2d`."""

    process_group = None


STANDS_FOR: dict[type[nn.Module], type[nn.Module]] = {SyncBatchNorm1d: nn.BatchNorm1d, SyncBatchNorm2d: nn.BatchNorm2d}


def build_sync_batchnorm(config: HardwareConfig, module: nn.Module, *, device: torch.device, n_processes: int) -> None:
    """Let every BatchNorm of a module see the crops of all processes, where ``hardware.sync_batchnorm`` says so.

    To be called before the module is compiled or wrapped. One process has nothing to share: its module stays as it is.

    Args:
        config: The section ``hardware``.
        module: The encoder.
        device: Where it is trained.
        n_processes: That train it.

    Raises:
        ConfigError: If the device is no GPU: torch does not compute it elsewhere.
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
    """Let every BatchNorm of ``module`` that is in training mode take its statistics over all processes.

    Each stays the object that it is, with its name, weights, statistics and mode: a checkpoint is the same, and an
    optimiser still holds. In evaluation mode, as where it is frozen, it normalises as before and tells nobody.
    """
    for kind, plain in STANDS_FOR.items():
        for norm in module.modules():
            if type(norm) is plain:
                norm.__class__ = kind
