"""What a run starts from: Fabric on the right device, and an encoder."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture, describe_architecture
from mrlspk.config.launch import Launch
from mrlspk.config.model import HeadConfig
from mrlspk.config.run import HardwareConfig
from mrlspk.errors import ConfigError
from mrlspk.inference.device import find_device
from mrlspk.inference.locate import ModelFile, locate_model
from mrlspk.models.checkpoints import LoadedModel, with_widths
from mrlspk.models.encoder import Encoder, build_encoder
from mrlspk.models.head import MatryoshkaHead
from mrlspk.rotation.closed_form import Method

ALONE = Launch()
# That processes have with each other: the first may wait for the lock of a store, or check a large one. Launchers find
# out that one is dead.
PATIENCE = timedelta(days=1)
STRATEGIES = {"ddp": DDPStrategy}
PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class StartingPoint:
    """An encoder and what rebuilds it.

    Attributes:
        encoder: With the configured widths.
        architecture: What rebuilds it.
        loaded: The model that it was; None where all is random.
        head_rows_kept: Rows of the head that are that model's.
    """

    encoder: Encoder
    architecture: Architecture
    loaded: LoadedModel | None = None
    head_rows_kept: int = 0

    @property
    def published_head(self) -> MatryoshkaHead | None:
        """A copy of the head that the model came with, at its own width; None where all is random."""
        return self.loaded.encoder.copy_head() if self.loaded else None


def wanted_rotation(head: HeadConfig, loaded: LoadedModel | None) -> Method | Literal["auto"]:
    """Return the method of rotation that a run wants: none for a head that has an order of its own already."""
    if head.rotation == "auto" and head.start == "pretrained" and loaded is not None:
        return "none" if len(loaded.architecture.matryoshka_dims) > 1 else "auto"
    return head.rotation


def build_fabric(config: HardwareConfig, *, launch: Launch = ALONE, leaves_unused: bool = False) -> Fabric:
    """Return Fabric with the devices, processes and number format of section ``hardware``; nothing is started yet.

    Args:
        config: Of the run.
        launch: How this process was started; torchrun and SLURM say how many there are.
        leaves_unused: Whether some steps leave trained parameters without a gradient.

    Raises:
        ConfigError: If the device does not have that number format, or there cannot be so many processes on it.
        MissingDependencyError: If this machine has no such device.
    """
    device = find_device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"fp16 needs a GPU, and the device is {device.type}", "hardware.precision", "Take bf16.")
    processes, nodes = launch.processes or config.devices, launch.nodes or config.nodes
    if launch.processes and config.devices not in {1, processes}:
        raise ConfigError(
            f"{config.devices} processes on each machine are configured, and {processes} were started",
            "hardware.devices",
            "Start as many with torchrun or srun, or leave the key out.",
        )
    precision = PRECISIONS[config.precision]
    if processes * nodes == 1:
        devices = [device.index or 0] if device.type == "cuda" else 1
        return Fabric(accelerator=device.type, devices=devices, precision=precision)
    _check_shared_devices(config, device, processes)
    strategy = STRATEGIES[config.strategy](find_unused_parameters=leaves_unused, timeout=PATIENCE)
    return Fabric(accelerator=device.type, devices=processes, num_nodes=nodes, strategy=strategy, precision=precision)


def leaves_unused(config: Config) -> bool:
    """Return whether some steps of a run leave parameters that it trains without a gradient."""
    frozen_at_first = bool(config.training.freeze_backbone_epochs)
    return frozen_at_first or (config.loss.n_dims_per_step is not None and config.loss.class_matrix == "per_width")


def _check_shared_devices(config: HardwareConfig, device: torch.device, processes: int) -> None:
    """Refuse several processes on one device that is no CPU.

    Raises:
        ConfigError: If there would be.
    """
    if device.type == "mps" or device.index is not None:
        raise ConfigError(
            f"{processes} processes on a machine cannot share the device {config.device}",
            "hardware.device",
            "Take cuda or cpu; each process has the GPU of its number.",
        )
    if device.type == "cuda" and processes > torch.cuda.device_count():
        raise ConfigError(
            f"{processes} processes on a machine need as many GPUs, and there are {torch.cuda.device_count()}",
            "hardware.devices",
            "Start as many processes as there are GPUs.",
        )


def build_start(config: Config, loaded: LoadedModel | None) -> StartingPoint:
    """Return a loaded encoder with the configured widths, or one of random weights.

    Front end, backbone, pooling, the head's normalisation and the rows that both heads have are those of ``loaded``.

    Args:
        config: Whose ``model`` says the widths, and the backbone where no model is loaded.
        loaded: The model to start or resume from; None for random weights.
    """
    dims = config.model.matryoshka_dims
    if loaded is None:
        assert config.model.backbone is not None  # the configuration has checked it
        architecture: Architecture = describe_architecture(config.model.backbone, dims)
        return StartingPoint(build_encoder(architecture), architecture)
    encoder, kept = with_widths(loaded, dims)
    changed = {"matryoshka_dims": dims, "output_norm": False}
    return StartingPoint(encoder, loaded.architecture.model_copy(update=changed), loaded, kept)


def origin_checkpoint(config: Config, *, cache_dir: Path, mirror: str | None) -> ModelFile | None:
    """Return the checkpoint to start from, fetched if need be; None where training is from scratch."""
    pretrained = config.model.pretrained
    if not pretrained.use_pretrained:
        return None
    model = str(pretrained.pretrained_checkpoint or pretrained.published_name)
    return locate_model(model, cache_dir=cache_dir, mirror=mirror)
