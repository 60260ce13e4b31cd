"""The training objective out of the section ``loss``."""

from collections.abc import Sequence

from torch import nn

from mrlspk.config.loss import LossConfig
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.losses.triplet import TripletLoss


def build_loss(config: LossConfig, *, dims: Sequence[int], weights: Sequence[float], n_speakers: int) -> MatryoshkaLoss:
    """Return the objective at every width; ``weights[i]`` belongs to ``dims[i]``.

    Args:
        config: The section ``loss``.
        dims: Prefix widths; the largest is the full width.
        weights: Loss weight of each width.
        n_speakers: Number of classes, those of speed perturbation among them; triplets need none.
    """
    return MatryoshkaLoss(_build_single(config, max(dims), n_speakers), dims, weights)


def _build_single(config: LossConfig, embed_dim: int, n_speakers: int) -> nn.Module:
    if config.type == "Triplet":
        return TripletLoss(config.triplet_margin, config.triplet_mining)
    return AAMSoftmax(
        n_speakers,
        embed_dim,
        margin=config.margin,
        scale=config.scale,
        easy_margin=config.easy_margin,
        n_subcenters=config.num_subcenters if config.type == "SubCenter" else 1,
    )
