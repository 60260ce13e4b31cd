"""One loss applied to several prefixes of the same embedding."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn


class MatryoshkaLossValue(NamedTuple):
    """The weighted mean over the widths, to be back-propagated, and the detached loss of each width."""

    total: Tensor
    by_dim: dict[int, Tensor]


class MatryoshkaLoss(nn.Module):
    """Weighted mean of ``loss`` over prefixes of the embedding (Kusupati et al. 2022, arXiv:2205.13147, eq. 1).

    Parameters of ``loss``, such as class weights, are parameters of this module.

    Args:
        loss: Maps (batch, dim) embeddings and (batch,) speaker indices to a scalar, for every dim in ``dims``.
        dims: Prefix widths, in any order.
        weights: ``weights[i]`` belongs to ``dims[i]``; their sum is above zero.
    """

    def __init__(self, loss: nn.Module, dims: Sequence[int], weights: Sequence[float]) -> None:
        super().__init__()
        self.loss = loss
        self.weight_of = dict(zip(dims, weights, strict=True))

    def forward(self, embedding: Tensor, speaker_index: Tensor) -> MatryoshkaLossValue:
        """Return the losses of embeddings (batch, embed_dim) whose speakers are (batch,)."""
        losses: dict[int, Tensor] = {dim: self.loss(embedding[:, :dim], speaker_index) for dim in self.weight_of}
        total = embedding.new_zeros((), dtype=next(iter(losses.values())).dtype)
        for dim, weight in self.weight_of.items():
            total = total + weight * losses[dim]
        by_dim = {dim: loss.detach() for dim, loss in losses.items()}
        return MatryoshkaLossValue(total / sum(self.weight_of.values()), by_dim)
