"""Encoder and loss as one module: trained and frozen parts, and the entries that a checkpoint saves."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.checkpoints import schema
from mrlspk.models.headed_model import HeadedModel
from mrlspk.models.parts import parameters_by_part


class TrainedModule(nn.Module):
    """The encoder, then the loss with its classifier weights: what an optimiser step runs.

    Args:
        encoder: Trained as a whole, or only its head.
        criterion: The loss.
    """

    def __init__(self, encoder: HeadedModel, criterion: MatryoshkaLoss) -> None:
        super().__init__()
        self.encoder, self.criterion = encoder, criterion

    @abstractmethod
    def set_mode(self, *, backbone_frozen: bool) -> None:
        """Put trained parts in training mode, frozen parts in evaluation mode without gradients."""

    def current_encoder(self) -> HeadedModel:
        """Return the encoder that is validated and saved."""
        return self.encoder

    def entries(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside the current encoder: tensors and plain values only."""
        draws = {schema.DRAWS: self.criterion.draws_state()} if self.criterion.n_dims_per_step else {}
        return {schema.CRITERION: self.criterion.state_dict(), **draws}

    def load_entries(self, contents: Mapping[str, Any]) -> None:
        """Load encoder, classifier weights and all else that is trained from the entries of a checkpoint."""
        self.encoder.load_state_dict(contents[schema.MODEL])
        self.load_criterion(contents)

    def load_criterion(self, contents: Mapping[str, Any]) -> None:
        """Load classifier weights and the generator that chooses widths; old checkpoints lack the generator."""
        self.criterion.load_state_dict(contents[schema.CRITERION])
        if schema.DRAWS in contents:
            self.criterion.load_draws_state(contents[schema.DRAWS])

    def save_beside_best(self, run_dir: Path, architecture: Architecture) -> None:
        """Write further files of the best model beside its checkpoint; by default there are none."""


def is_frozen(config: Config, epoch: int) -> bool:
    """Return whether the backbone is frozen in ``epoch``, counted from 0."""
    frozen_epochs = config.training.freeze_backbone_epochs
    return frozen_epochs is None or epoch < frozen_epochs


def count_parameters(module: nn.Module, *, trained: bool) -> int:
    """Return the number of values with a gradient, or without."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad == trained)


def count_by_part(module: TrainedModule) -> dict[str, int]:
    """Return the number of values by part of encoder and loss."""
    n_class_weights = sum(parameter.numel() for parameter in module.criterion.parameters())
    return parameters_by_part(module.encoder) | {"class weights": n_class_weights}
