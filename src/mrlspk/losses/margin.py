"""Softmax with an additive angular margin, and its sub-centre variant."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Least squared sine: it bounds the slope of the sine, which is infinite at a cosine of 1 or -1.
MIN_SQUARED_SINE = 1e-6


class AAMSoftmax(nn.Module):
    """Cross-entropy over speakers with ``margin`` added to the angle of the own class.

    Additive angular margin (Deng et al. 2019, arXiv:1801.07698, eq. 3); with ``n_subcenters`` above 1 the cosine to a
    class is the largest over its sub-centres (Deng et al. 2020, "Sub-center ArcFace", ECCV). One class matrix serves
    every prefix width (MRL-E, Kusupati et al. 2022, arXiv:2205.13147): its columns are cut, then normalised. With
    ``own_dims`` each of these widths has a matrix of its own (MRL, the same), side by side in ``weight``.

    Args:
        n_classes: Number of speakers.
        embed_dim: Full width; a prefix of it can be given to `forward`.
        margin: Radians; may be set anew at any time.
        scale: Factor on the cosine.
        easy_margin: Apply the margin only where the cosine is positive.
        n_subcenters: Centres of each class; rows ``c * n_subcenters`` and those after it belong to class ``c``.
        margin_shares: What share of the margin a width has; 1 where it is not named.
        own_dims: Widths that have a class matrix of their own; none: all share one.
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
        margin_shares: Mapping[int, float] | None = None,
        own_dims: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.n_classes, self.n_subcenters = n_classes, n_subcenters
        self.margin, self.scale, self.easy_margin = margin, scale, easy_margin
        self.margin_shares = dict(margin_shares or {})
        self.own_dims = tuple(own_dims)
        self._first_column = {dim: sum(own_dims[:index]) for index, dim in enumerate(own_dims)}
        self.weight = nn.Parameter(torch.empty(n_classes * n_subcenters, sum(own_dims) or embed_dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embedding: Tensor, speaker_index: Tensor) -> Tensor:
        """Return the mean loss of embeddings (batch, dim), of any length, whose speakers are (batch,)."""
        with torch.autocast(embedding.device.type, enabled=False):
            cosine = self.class_cosines(embedding.float())
            own = speaker_index.unsqueeze(1)
            shifted = self.add_margin(cosine.gather(1, own), self.margin_at(embedding.shape[1]))
            return functional.cross_entropy(self.scale * cosine.scatter(1, own, shifted), speaker_index)

    def margin_at(self, dim: int) -> float:
        """Return the present margin, in radians, of a width."""
        return self.margin * self.margin_shares.get(dim, 1.0)

    def columns(self, dim: int) -> slice:
        """Return the columns of ``weight`` that hold the classes of a width.

        Raises:
            KeyError: If the widths have matrices of their own, and this one has none.
        """
        start = self._first_column[dim] if self._first_column else 0
        return slice(start, start + dim)

    def class_cosines(self, embedding: Tensor) -> Tensor:
        """Return the cosines (batch, n_classes) of float32 embeddings (batch, dim) to the classes, without margin."""
        classes = functional.normalize(self.weight[:, self.columns(embedding.shape[1])].float(), dim=1)
        cosine = functional.linear(functional.normalize(embedding, dim=1), classes)
        if self.n_subcenters == 1:
            return cosine
        return cosine.reshape(-1, self.n_classes, self.n_subcenters).amax(dim=2)

    def add_margin(self, cosine: Tensor, margin: float) -> Tensor:
        """Return the cosine of the angle plus ``margin``; it never rises with the angle.

        Where the sum of angles passes pi, ``cosine - margin * sin(margin)`` takes over, since the cosine of the sum
        would rise again.
        """
        sine = (1.0 - cosine.square()).clamp_min(MIN_SQUARED_SINE).sqrt()
        shifted = cosine * math.cos(margin) - sine * math.sin(margin)
        if self.easy_margin:
            return torch.where(cosine > 0, shifted, cosine)
        beyond = cosine - margin * math.sin(margin)
        return torch.where(cosine > -math.cos(margin), shifted, beyond)
