"""Module of a network run: the encoder is trained, or adapters on its frozen backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.encoder import Encoder
from mrlspk.training.network.adapter_files import FOLDER, save_adapter
from mrlspk.training.network.lora import adapter_entries, build_adapters, load_with_adapters, merged, train_adapters
from mrlspk.training.trained_module import TrainedModule


class AdaptedModule(TrainedModule):
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


def build_network_module(config: Config, encoder: Encoder, criterion: MatryoshkaLoss) -> TrainedModule:
    """Return encoder and loss as one module; add the adapters of section ``training.lora`` to the encoder.

    Raises:
        ConfigError: If its backbone has no layer for an adapter.
        MissingDependencyError: If peft is not installed.
    """
    keep_statistics = config.training.freeze_norm_statistics
    if config.training.lora is None:
        return TrainedModule(encoder, criterion, keep_statistics=keep_statistics)
    build_adapters(config.training.lora, encoder)
    return AdaptedModule(encoder, criterion, keep_statistics=keep_statistics)
