"""Build the training loss from section ``loss`` of the configuration."""

from collections.abc import Sequence

from torch import nn

from mrlspk.config.loss import LossConfig
from mrlspk.losses.distillation import SimilarityDistillation
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import GatherRows, MatryoshkaLoss
from mrlspk.losses.triplet import TripletLoss


def build_loss(
    config: LossConfig,
    *,
    dims: Sequence[int],
    weights: Sequence[float],
    n_speakers: int,
    distillation_weight: float = 0.0,
    seed: int = 0,
    gather_rows: GatherRows | None = None,
) -> MatryoshkaLoss:
    """Return the loss at every width; ``weights[i]`` belongs to ``dims[i]``.

    Args:
        config: The section ``loss``.
        dims: Prefix widths; the largest is the full width.
        weights: Loss weight of each width.
        n_speakers: Number of classes, including those of speed perturbation; unused by triplets.
        distillation_weight: Weight of the similarity distillation; 0 for none.
        seed: Seed of the random choice of widths.
        gather_rows: Maps (batch, ...) to the rows of all processes; None with one process.
    """
    distillation = SimilarityDistillation(config.distillation_temperature) if distillation_weight else None
    return MatryoshkaLoss(
        _build_single(config, dims, n_speakers),
        dims,
        weights,
        n_dims_per_step=config.n_dims_per_step,
        distillation=distillation,
        distillation_weight=distillation_weight,
        seed=seed,
        gather_rows=gather_rows,
    )


def _build_single(config: LossConfig, dims: Sequence[int], n_speakers: int) -> nn.Module:
    if config.type == "Triplet":
        return TripletLoss(config.triplet_margin, config.triplet_mining)
    return AAMSoftmax(
        n_speakers,
        max(dims),
        margin=config.margin,
        scale=config.scale,
        easy_margin=config.easy_margin,
        n_subcenters=config.num_subcenters if config.type == "SubCenter" else 1,
        margin_shares=config.margin_shares,
        own_dims=tuple(dims) if config.class_matrix == "per_width" else (),
    )
