"""What a run starts from: Fabric on the right device, and an encoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_fabric import Fabric

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture, describe_architecture
from mrlspk.config.hardware import HardwareConfig
from mrlspk.config.head import HeadConfig
from mrlspk.encoding.device import find_device
from mrlspk.encoding.loading import load_located
from mrlspk.encoding.locate import ModelFile, locate_model
from mrlspk.errors import ConfigError
from mrlspk.models.checkpoints import LoadedModel, with_widths
from mrlspk.models.encoder import Encoder, build_encoder
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.rotation import Method

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
        """The head that the model came with, at its own width; None where all is random."""
        return self.loaded.encoder.head if self.loaded else None


def wanted_rotation(head: HeadConfig, loaded: LoadedModel | None) -> Method | Literal["auto"]:
    """Return the method of rotation that a run wants: none for a head that has an order of its own already."""
    if head.rotation == "auto" and head.start == "pretrained" and loaded is not None:
        return "none" if len(loaded.architecture.matryoshka_dims) > 1 else "auto"
    return head.rotation


def build_fabric(config: HardwareConfig) -> Fabric:
    """Return Fabric on one device, with the number format of section ``hardware``.

    Raises:
        ConfigError: If the device does not have that number format.
        MissingDependencyError: If this machine has no such device.
    """
    device = find_device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"fp16 needs a GPU, and the device is {device.type}", "hardware.precision", "Take bf16.")
    devices = [device.index or 0] if device.type == "cuda" else 1
    return Fabric(accelerator=device.type, devices=devices, precision=PRECISIONS[config.precision])


def build_start(config: Config, origin: ModelFile | None) -> StartingPoint:
    """Return the encoder of a checkpoint with the configured widths, or one of random weights.

    Front end, backbone, pooling, the head's normalisation and the rows that both heads have are the checkpoint's.

    Args:
        config: Whose ``model`` says the widths, and the backbone where there is no checkpoint.
        origin: A published or an own model; None for random weights.

    Raises:
        CheckpointError: If the checkpoint is not whole, or of another family than its name promises.
    """
    dims = config.model.matryoshka_dims
    if origin is None:
        assert config.model.backbone is not None  # the configuration has checked it
        architecture: Architecture = describe_architecture(config.model.backbone, dims)
        return StartingPoint(build_encoder(architecture), architecture)
    loaded = load_located(origin)
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
