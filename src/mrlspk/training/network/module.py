"""Module of a network run: the encoder is trained, or adapters on its frozen backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.errors import ConfigError
from mrlspk.losses.matryoshka import MatryoshkaLoss, MatryoshkaLossValue
from mrlspk.models.encoder import Encoder
from mrlspk.models.headed_model import HeadedModel
from mrlspk.models.parts import set_training_mode
from mrlspk.training.network.adapter_files import FOLDER, save_adapter
from mrlspk.training.network.lora import adapter_entries, build_adapters, load_with_adapters, merged, train_adapters
from mrlspk.training.trained_module import TrainedModule


class NetworkModule(TrainedModule):
    """An encoder that is trained as a whole, and its loss.

    Args:
        encoder: Trained.
        criterion: The loss.
        keep_statistics: Keep the running statistics of every BatchNorm of the encoder, and normalise by them.

    Attributes:
        augmentation: Finishes the crops on the device; None: they come finished.
    """

    encoder: Encoder
    augmentation: Augmentation | None = None

    def __init__(self, encoder: Encoder, criterion: MatryoshkaLoss, *, keep_statistics: bool = False) -> None:
        super().__init__(encoder, criterion)
        self._keep_statistics = keep_statistics

    def forward(self, waveform: Tensor, speaker_index: Tensor, *extras: Tensor) -> MatryoshkaLossValue:
        """Return the losses of waveforms (batch, samples) whose speakers are (batch,).

        ``extras`` (batch, …) are what the augmentation drew for them.
        """
        masks = None
        if self.augmentation is not None:
            masks = self.augmentation.masks_in(extras)
            with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
                waveform = self.augmentation.finish(waveform, *extras)
        value: MatryoshkaLossValue = self.criterion(self.encoder(waveform, masks), speaker_index)
        return value

    def set_mode(self, *, backbone_frozen: bool) -> None:
        """Put trained parts in training mode, frozen parts in evaluation mode without gradients."""
        set_training_mode(self.encoder, backbone_frozen=backbone_frozen, keep_statistics=self._keep_statistics)


class AdaptedModule(NetworkModule):
    """An encoder with adapters, and its loss: adapters and head are trained, the rest is frozen.

    The merged encoder is validated and saved; checkpoints also hold the adapters.
    """

    def set_mode(self, *, backbone_frozen: bool) -> None:
        """Freeze all but head and adapters."""
        super().set_mode(backbone_frozen=backbone_frozen)
        train_adapters(self.encoder)

    def current_encoder(self) -> Encoder:
        """Return a plain encoder with the adapters merged into its weights."""
        return merged(self.encoder)

    def entries(self) -> dict[str, Any]:
        """Return classifier weights, and the adapters with the weights below them."""
        return super().entries() | adapter_entries(self.encoder)

    def load_entries(self, contents: Mapping[str, Any]) -> None:
        """Load the weights below the adapters, adapters, head and classifier weights."""
        load_with_adapters(self.encoder, contents)
        self.load_criterion(contents)

    def save_beside_best(self, run_dir: Path, architecture: Architecture) -> None:
        """Write adapters and head in peft's format."""
        save_adapter(run_dir / FOLDER, self.encoder, architecture)


def build_network_module(config: Config, encoder: HeadedModel, criterion: MatryoshkaLoss) -> NetworkModule:
    """Return encoder and loss as one module; add the adapters of section ``training.lora`` to the encoder.

    Raises:
        ConfigError: If it is a head on another model, or its backbone has no layer for an adapter.
        MissingDependencyError: If peft is not installed.
    """
    keep_statistics = config.training.freeze_norm_statistics
    if not isinstance(encoder, Encoder):
        key = "training.freeze_backbone_epochs" if config.training.lora is None else "training.lora"
        raise ConfigError("a model of another toolkit is not trained, only a head on it", key, "Set it to null.")
    if config.training.lora is None:
        return NetworkModule(encoder, criterion, keep_statistics=keep_statistics)
    build_adapters(config.training.lora, encoder)
    return AdaptedModule(encoder, criterion, keep_statistics=keep_statistics)
