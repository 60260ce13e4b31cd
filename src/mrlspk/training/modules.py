"""The encoder and its loss as one module, and which of its parts move."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.losses.matryoshka import MatryoshkaLoss, MatryoshkaLossValue
from mrlspk.models.checkpoints import schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.parts import parameters_by_part, set_training_mode


class TrainedModule(nn.Module):
    """What a step runs: the encoder, then the loss with its class weights.

    Args:
        encoder: Trained as a whole, or its head alone.
        criterion: The loss.
        keep_statistics: Train by the statistics that every BatchNorm of the encoder has, and keep them.
    """

    def __init__(self, encoder: Encoder, criterion: MatryoshkaLoss, *, keep_statistics: bool = False) -> None:
        super().__init__()
        self.encoder, self.criterion, self._keep_statistics = encoder, criterion, keep_statistics

    def forward(self, waveform: Tensor, speaker_index: Tensor) -> MatryoshkaLossValue:
        """Return the losses of waveforms (batch, samples) whose speakers are (batch,)."""
        value: MatryoshkaLossValue = self.criterion(self.encoder(waveform), speaker_index)
        return value

    def set_mode(self, *, backbone_frozen: bool) -> None:
        """Put the parts that are trained in training mode, the others in evaluation mode without gradients."""
        set_training_mode(self.encoder, backbone_frozen=backbone_frozen, keep_statistics=self._keep_statistics)

    def current_encoder(self) -> Encoder:
        """Return the encoder as training has it now: what is validated and saved."""
        return self.encoder

    def entries(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside the current encoder: tensors and plain values only."""
        draws = {schema.DRAWS: self.criterion.draws_state()} if self.criterion.n_dims_per_step else {}
        return {schema.CRITERION: self.criterion.state_dict(), **draws}

    def load_entries(self, contents: Mapping[str, Any]) -> None:
        """Take encoder, class weights and what else is trained out of a checkpoint's entries."""
        self.encoder.load_state_dict(contents[schema.MODEL])
        self.load_criterion(contents)

    def load_criterion(self, contents: Mapping[str, Any]) -> None:
        """Take class weights, and where the draws of widths were; checkpoints of older versions do not say it."""
        self.criterion.load_state_dict(contents[schema.CRITERION])
        if schema.DRAWS in contents:
            self.criterion.load_draws_state(contents[schema.DRAWS])

    def save_beside_best(self, run_dir: Path, architecture: Architecture) -> None:
        """Write what belongs to the best model beside its checkpoint: nothing, where that holds all."""


def is_frozen(config: Config, epoch: int) -> bool:
    """Return whether only the head is trained in ``epoch``, counted from 0."""
    frozen_epochs = config.training.freeze_backbone_epochs
    return frozen_epochs is None or epoch < frozen_epochs


def count_parameters(module: nn.Module, *, trained: bool) -> int:
    """Return the number of values that do, or do not, get a gradient."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad == trained)


def count_by_part(module: TrainedModule) -> dict[str, int]:
    """Return the number of values of each part of encoder and loss."""
    n_class_weights = sum(parameter.numel() for parameter in module.criterion.parameters())
    return parameters_by_part(module.encoder) | {"class weights": n_class_weights}
