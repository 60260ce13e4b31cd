"""Similarities within a batch, taught by another embedding of the same crops."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SimilarityDistillation(nn.Module):
    """Divergence between two models' rankings of the batch, seen from each of its crops.

    The cosines of a crop to all others, divided by ``temperature``, go through a softmax; the loss is the mean
    Kullback-Leibler divergence of the student's distribution from the teacher's (listwise, after ListNet, Cao et al.
    2007, ICML; over the similarities of a batch as in Park et al. 2019, arXiv:1904.05068). Nothing but similarities is
    compared, so that the two may have any widths.

    Args:
        temperature: What the cosines are divided by.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the divergence, in nats, of embeddings (batch, dim) from those of the teacher, (batch, any width)."""
        with torch.autocast(student.device.type, enabled=False):
            log_student = functional.log_softmax(self._similarities(student.float()), dim=1)
            with torch.no_grad():
                log_teacher = functional.log_softmax(self._similarities(teacher.float()), dim=1)
            return functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)

    def _similarities(self, embedding: Tensor) -> Tensor:
        """Return the cosines of each crop to the others, (batch, batch - 1), divided by the temperature."""
        unit = functional.normalize(embedding, dim=1)
        others = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        return (unit @ unit.T)[others].view(len(unit), -1) / self.temperature
