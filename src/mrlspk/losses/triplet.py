"""Triplet loss on the cosine distance, with three ways to mine the triplets of a batch."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

type Mining = Literal["batch_hard", "semi_hard", "all"]


class TripletLoss(nn.Module):
    """Hinge on ``margin`` + distance to the same speaker - distance to another speaker.

    The distance is 1 - cosine. ``mining`` selects the triplets:

    - ``batch_hard``: each anchor with its farthest positive and nearest negative (Hermans et al. 2017,
      arXiv:1703.07737); the mean is over anchors that have both.
    - ``semi_hard``: each anchor and positive with the nearest negative that is farther than the positive, by less than
      the margin (Schroff et al. 2015, arXiv:1503.03832, eq. 4); the mean is over pairs that have one.
    - ``all``: every triplet; the mean is over triplets with a hinge above zero (Hermans, "batch all", non-zero).

    A batch without such a triplet has a loss of zero that still takes part in the backward pass.
    """

    def __init__(self, margin: float, mining: Mining) -> None:
        super().__init__()
        self.margin = margin
        self.mining: Mining = mining

    def forward(self, embedding: Tensor, speaker_index: Tensor) -> Tensor:
        """Return the mean loss of embeddings (batch, dim), of any length, whose speakers are (batch,)."""
        with torch.autocast(embedding.device.type, enabled=False):
            unit = functional.normalize(embedding.float(), dim=1)
            distance = 1.0 - unit @ unit.T
            same = speaker_index.unsqueeze(0) == speaker_index.unsqueeze(1)
            own = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
            return _mean(self._hinges(distance, own, ~same))

    def _hinges(self, distance: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Return the loss of each selected triplet; all arguments are (batch, batch)."""
        if self.mining == "batch_hard":
            anchors = own.any(dim=1) & other.any(dim=1)
            to_own = distance.masked_fill(~own, -torch.inf)[anchors].amax(dim=1)
            to_other = distance.masked_fill(~other, torch.inf)[anchors].amin(dim=1)
            return functional.relu(self.margin + to_own - to_other)
        anchor, positive = own.nonzero(as_tuple=True)
        to_own = distance[anchor, positive].unsqueeze(1)
        to_others = distance[anchor]
        counts = other[anchor] & (to_others < to_own + self.margin)
        if self.mining == "all":
            return (self.margin + to_own - to_others)[counts]
        counts &= to_others > to_own
        found = counts.any(dim=1)
        to_nearest = to_others.masked_fill(~counts, torch.inf)[found].amin(dim=1)
        return self.margin + to_own[found].squeeze(1) - to_nearest


def _mean(values: Tensor) -> Tensor:
    """Return the mean; for no values, a zero with a gradient path."""
    return values.sum() / max(values.numel(), 1)
