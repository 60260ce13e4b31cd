"""Apply one loss to several prefixes of the same embedding."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrlspk.losses.distillation import SimilarityDistillation
from mrlspk.losses.triplet import TripletLoss

type GatherRows = Callable[[Tensor], Tensor]


class MatryoshkaLossValue(NamedTuple):
    """The weighted mean over the widths, for the backward pass, and the detached loss of each width that was used."""

    total: Tensor
    by_dim: dict[int, Tensor]


class MatryoshkaLoss(nn.Module):
    """Weighted mean of ``loss`` over prefixes of the embedding (Kusupati et al. 2022, arXiv:2205.13147, eq. 1).

    Parameters of ``loss``, such as classifier weights, are parameters of this module. With several processes, triplets
    and distillation see the crops of all processes and are equal in each; a classification loss sees only its own
    process's crops. The mean gradient over the processes is the gradient of the whole batch.

    Args:
        loss: Maps (batch, dim) embeddings and (batch,) speaker indices to a scalar, for every dim in ``dims``.
        dims: Prefix widths, in any order.
        weights: ``weights[i]`` belongs to ``dims[i]``; their sum is above zero.
        n_dims_per_step: In training, number of widths drawn at random for each step; None for all.
        distillation: Added at every width if `forward` gets a teacher's embeddings; None for none.
        distillation_weight: Weight of the distillation.
        seed: Seed of the choice of widths, which depends on nothing else: all processes choose the same.
        gather_rows: Maps (batch, ...) to the rows of all processes; None with one process.
    """

    def __init__(
        self,
        loss: nn.Module,
        dims: Sequence[int],
        weights: Sequence[float],
        *,
        n_dims_per_step: int | None = None,
        distillation: SimilarityDistillation | None = None,
        distillation_weight: float = 1.0,
        seed: int = 0,
        gather_rows: GatherRows | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.weight_of = dict(zip(dims, weights, strict=True))
        self.n_dims_per_step = n_dims_per_step
        self.distillation, self.distillation_weight = distillation, distillation_weight
        self.gather_rows = gather_rows
        self._draws = torch.Generator().manual_seed(seed)

    def forward(self, embedding: Tensor, speaker_index: Tensor, teacher: Tensor | None = None) -> MatryoshkaLossValue:
        """Return the losses of embeddings (batch, embed_dim) whose speakers are (batch,).

        Args:
            embedding: Of the model in training.
            speaker_index: Classes.
            teacher: (batch, any width) embeddings of the same crops from another model, for the distillation.
        """
        losses, total = dict[int, Tensor](), embedding.new_zeros((), dtype=torch.float32)
        weight_of, of_all, ranking = self._draw(), embedding, None
        if self._is_over_batch:
            embedding, speaker_index = self._of_all(embedding), self._of_all(speaker_index)
        if self.distillation is not None and teacher is not None:
            of_all = embedding if self._is_over_batch else self._of_all(embedding)
            ranking = self.distillation.ranking(self._of_all(teacher))
        for dim, weight in weight_of.items():
            losses[dim] = self.loss(embedding[:, :dim], speaker_index)
            total = total + weight * losses[dim]
            if self.distillation is not None and ranking is not None:
                total = total + weight * self.distillation_weight * self.distillation(of_all[:, :dim], ranking)
        by_dim = {dim: loss.detach() for dim, loss in losses.items()}
        return MatryoshkaLossValue(total / sum(weight_of.values()), by_dim)

    def mean(self, by_dim: Mapping[int, float]) -> float:
        """Return the weighted mean of the losses of some widths, without distillation."""
        weighted = sum(self.weight_of[dim] * loss for dim, loss in by_dim.items())
        return weighted / sum(self.weight_of[dim] for dim in by_dim)

    def draws_state(self) -> Tensor:
        """Return the state of the generator that chooses widths, as bytes (n,)."""
        return self._draws.get_state()

    def load_draws_state(self, state: Tensor) -> None:
        """Set the generator that chooses widths to a `draws_state`.

        Raises:
            RuntimeError, TypeError: If ``state`` is not a generator state.
        """
        self._draws.set_state(state)

    @property
    def _is_over_batch(self) -> bool:
        """Whether the loss of a crop depends on the other crops of its batch."""
        return isinstance(self.loss, TripletLoss)

    def _of_all(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes; floating-point rows in float32, in which gradients are summed."""
        if self.gather_rows is None:
            return rows
        return self.gather_rows(rows.float() if rows.is_floating_point() else rows)

    def _draw(self) -> dict[int, float]:
        """Return the widths of this step with their weights; widths of weight zero are not drawn."""
        if self.n_dims_per_step is None or not self.training:
            return self.weight_of
        weighted = [dim for dim, weight in self.weight_of.items() if weight > 0]
        drawn = torch.randperm(len(weighted), generator=self._draws)[: self.n_dims_per_step].sort().values.tolist()
        return {weighted[index]: self.weight_of[weighted[index]] for index in drawn}
