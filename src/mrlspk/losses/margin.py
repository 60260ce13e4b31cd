"""Softmax with an additive angular margin, and its sub-centre variant."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Least squared sine: it bounds the slope of the sine, which is infinite at a cosine of 1 or -1.
MIN_SQUARED_SINE = 1e-6


class AAMSoftmax(nn.Module):
    """Cross-entropy over speakers with ``margin`` added to the angle of the own class.

    Additive angular margin (Deng et al. 2019, arXiv:1801.07698, eq. 3); with ``n_subcenters`` above 1 the cosine to a
    class is the largest over its sub-centres (Deng et al. 2020, "Sub-center ArcFace", ECCV). One class matrix serves
    every prefix width (MRL-E, Kusupati et al. 2022, arXiv:2205.13147): its columns are cut, then normalised.

    Args:
        n_classes: Number of speakers.
        embed_dim: Full width; a prefix of it can be given to `forward`.
        margin: Radians; may be set anew at any time.
        scale: Factor on the cosine.
        easy_margin: Apply the margin only where the cosine is positive.
        n_subcenters: Centres of each class; rows ``c * n_subcenters`` and those after it belong to class ``c``.
    """

    def __init__(
        self,
        n_classes: int,
        embed_dim: int,
        *,
        margin: float,
        scale: float,
        easy_margin: bool = False,
        n_subcenters: int = 1,
    ) -> None:
        super().__init__()
        self.n_classes, self.n_subcenters = n_classes, n_subcenters
        self.margin, self.scale, self.easy_margin = margin, scale, easy_margin
        self.weight = nn.Parameter(torch.empty(n_classes * n_subcenters, embed_dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embedding: Tensor, speaker_index: Tensor) -> Tensor:
        """Return the mean loss of embeddings (batch, dim), of any length, whose speakers are (batch,)."""
        with torch.autocast(embedding.device.type, enabled=False):
            cosine = self.class_cosines(embedding.float())
            own = speaker_index.unsqueeze(1)
            logits = cosine.scatter(1, own, self.add_margin(cosine.gather(1, own)))
            return functional.cross_entropy(self.scale * logits, speaker_index)

    def class_cosines(self, embedding: Tensor) -> Tensor:
        """Return the cosines (batch, n_classes) of float32 embeddings (batch, dim) to the classes, without margin."""
        classes = functional.normalize(self.weight[:, : embedding.shape[1]].float(), dim=1)
        cosine = functional.linear(functional.normalize(embedding, dim=1), classes)
        return cosine.reshape(-1, self.n_classes, self.n_subcenters).amax(dim=2)

    def add_margin(self, cosine: Tensor) -> Tensor:
        """Return the cosine of the angle plus the margin; it never rises with the angle.

        Where the sum of angles passes pi, ``cosine - margin * sin(margin)`` takes over, since the cosine of the sum
        would rise again.
        """
        sine = (1.0 - cosine.square()).clamp_min(MIN_SQUARED_SINE).sqrt()
        shifted = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        if self.easy_margin:
            return torch.where(cosine > 0, shifted, cosine)
        beyond = cosine - self.margin * math.sin(self.margin)
        return torch.where(cosine > -math.cos(self.margin), shifted, beyond)
