"""The encoder and its loss as one module, and which of its parts move."""

from torch import Tensor, nn

from mrlspk.losses.matryoshka import MatryoshkaLoss, MatryoshkaLossValue
from mrlspk.models.encoder import Encoder


class TrainedModule(nn.Module):
    """What a step runs: the encoder, then the loss with its class weights."""

    def __init__(self, encoder: Encoder, criterion: MatryoshkaLoss) -> None:
        super().__init__()
        self.encoder, self.criterion = encoder, criterion

    def forward(self, waveform: Tensor, speaker_index: Tensor) -> MatryoshkaLossValue:
        """Return the losses of waveforms (batch, samples) whose speakers are (batch,)."""
        value: MatryoshkaLossValue = self.criterion(self.encoder(waveform), speaker_index)
        return value


def set_training_mode(encoder: Encoder, *, backbone_frozen: bool) -> None:
    """Put the trained parts in training mode and the frozen ones in evaluation mode, without gradients.

    A frozen BatchNorm neither learns nor counts: its statistics stay what they were, bit for bit.
    """
    encoder.train()
    for part in (encoder.spec, encoder.backbone, encoder.pool):
        part.train(not backbone_frozen)
        part.requires_grad_(not backbone_frozen)


def count_parameters(module: nn.Module, *, trained: bool) -> int:
    """Return the number of values that do, or do not, get a gradient."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad == trained)
