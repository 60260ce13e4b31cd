"""AAM-Softmax, its margin schedule, and classifier weights initialised to class means."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Lower bound of the squared sine: the slope of the sine is infinite at a cosine of 1 or -1.
MIN_SQUARED_SINE = 1e-6
CENTRE_SPREAD = 0.1  # distance of a class's sub-centres from its mean at the start, as a share of its length


class AAMSoftmax(nn.Module):
    """Cross-entropy over speakers with ``margin`` added to the angle of the own class.

    Additive angular margin (Deng et al. 2019, arXiv:1801.07698, eq. 3); with ``n_subcenters`` above 1 the cosine to a
    class is the largest over its sub-centres (Deng et al. 2020, "Sub-center ArcFace", ECCV). One class matrix serves
    every prefix width (MRL-E, Kusupati et al. 2022, arXiv:2205.13147): its columns are truncated, then normalised.
    With ``own_dims`` each of these widths has its own matrix (MRL, same paper), side by side in ``weight``.

    Args:
        n_classes: Number of speakers.
        embed_dim: Full width; `forward` takes any prefix of it.
        margin: Radians; can be changed at any time.
        scale: Factor on the cosine.
        easy_margin: Apply the margin only where the cosine is positive.
        n_subcenters: Centres of each class; rows ``c * n_subcenters`` and those after it belong to class ``c``.
        margin_shares: Share of the margin by width; 1 for widths that are not listed.
        own_dims: Widths with their own class matrix; empty: all widths share one.
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
        """Return the current margin of a width, in radians."""
        return self.margin * self.margin_shares.get(dim, 1.0)

    def columns(self, dim: int) -> slice:
        """Return the columns of ``weight`` that hold the classes of a width.

        Raises:
            KeyError: If widths have their own matrices and this one has none.
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

        The cosine of a sum of angles rises again beyond pi; there ``cosine - margin * sin(margin)`` replaces it.
        """
        sine = (1.0 - cosine.square()).clamp_min(MIN_SQUARED_SINE).sqrt()
        shifted = cosine * math.cos(margin) - sine * math.sin(margin)
        if self.easy_margin:
            return torch.where(cosine > 0, shifted, cosine)
        beyond = cosine - margin * math.sin(margin)
        return torch.where(cosine > -math.cos(margin), shifted, beyond)


def scheduled_margin(
    epoch: float, *, start_epoch: float, full_epoch: float, margin: float, start_margin: float = 0.0
) -> float:
    """Return the margin, in radians, at ``epoch`` (0 at the start of training, fractions allowed).

    It is ``start_margin`` until ``start_epoch``, changes linearly, and is ``margin`` from ``full_epoch`` on. If
    ``full_epoch`` is not after ``start_epoch``, it is ``margin`` from the start.
    """
    if full_epoch <= start_epoch:
        return margin
    share = (epoch - start_epoch) / (full_epoch - start_epoch)
    return start_margin + (margin - start_margin) * min(max(share, 0.0), 1.0)


@torch.no_grad()
def set_class_means(loss: AAMSoftmax, embeddings: Tensor, speaker_index: Tensor) -> None:
    """Set the prototype of each class to the mean direction of its embeddings, of unit length.

    Sub-centres of a class start near its mean, each with its own small random offset.

    Args:
        loss: Its ``weight`` is changed in place.
        embeddings: (n, embed_dim), of any length; at least one per class.
        speaker_index: (n,) classes.

    Raises:
        ValueError: If a class has no embedding.
    """
    counts = torch.bincount(speaker_index, minlength=loss.n_classes)
    if len(counts) > loss.n_classes or not counts.all():
        raise ValueError(f"expected embeddings of each of {loss.n_classes} classes and of no other")
    for dim in loss.own_dims or (embeddings.shape[1],):
        means = _mean_directions(embeddings[:, :dim], speaker_index, loss.n_classes)
        centres = means.repeat_interleave(loss.n_subcenters, dim=0)
        if loss.n_subcenters > 1:
            centres = centres + CENTRE_SPREAD * functional.normalize(torch.randn_like(centres), dim=1)
        loss.weight[:, loss.columns(dim)] = centres.to(loss.weight.device)


def _mean_directions(embeddings: Tensor, speaker_index: Tensor, n_classes: int) -> Tensor:
    unit = functional.normalize(embeddings.float(), dim=1)
    sums = unit.new_zeros(n_classes, unit.shape[1]).index_add_(0, speaker_index, unit)
    return functional.normalize(sums, dim=1)
