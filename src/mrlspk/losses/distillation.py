"""Distil the similarities within a batch from another embedding of the same crops."""

import torch
from torch import Tensor, nn
from torch.nn import functional

MASKED = -1e4  # logit of a crop with itself: its probability is zero, and its logarithm finite


class SimilarityDistillation(nn.Module):
    """Divergence between two models' rankings of the batch, from the view of each crop.

    The cosines of a crop to all others, divided by ``temperature``, go through a softmax. The loss is the mean
    Kullback-Leibler divergence of the student's distribution from the teacher's (listwise, after ListNet, Cao et al.
    2007, ICML; over the similarities of a batch as in Park et al. 2019, arXiv:1904.05068). Only similarities are
    compared, so student and teacher can have different widths.

    Args:
        temperature: Divisor of the cosines.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Tensor, ranking: Tensor) -> Tensor:
        """Return the divergence, in nats, of embeddings (batch, dim) from a teacher's `ranking` (batch, batch)."""
        with torch.autocast(student.device.type, enabled=False):
            own = self._log_shares(student)
            return functional.kl_div(own, ranking, reduction="batchmean", log_target=True)

    @torch.no_grad()
    def ranking(self, teacher: Tensor) -> Tensor:
        """Return the log probabilities (batch, batch) of a teacher's embeddings (batch, any width)."""
        with torch.autocast(teacher.device.type, enabled=False):
            return self._log_shares(teacher)

    def _log_shares(self, embedding: Tensor) -> Tensor:
        unit = functional.normalize(embedding.float(), dim=1)
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        return functional.log_softmax((unit @ unit.T / self.temperature).masked_fill(itself, MASKED), dim=1)
