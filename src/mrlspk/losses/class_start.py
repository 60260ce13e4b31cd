"""Class weights that begin where their speakers are."""

import torch
from torch import Tensor
from torch.nn import functional

from mrlspk.losses.margin import AAMSoftmax

CENTRE_SPREAD = 0.1  # of a speaker's sub-centres about the mean at the start, as a share of its length


@torch.no_grad()
def set_class_means(loss: AAMSoftmax, embeddings: Tensor, speaker_index: Tensor) -> None:
    """Set the weights of every class to the mean direction of its embeddings, of unit length.

    Sub-centres of a class begin near its mean, each moved a little by a draw of its own.

    Args:
        loss: Its ``weight`` is changed.
        embeddings: (n, embed_dim), of any length; each class has one at least.
        speaker_index: (n,) classes.

    Raises:
        ValueError: If a class has no embedding.
    """
    counts = torch.bincount(speaker_index, minlength=loss.n_classes)
    if len(counts) > loss.n_classes or not counts.all():
        raise ValueError(f"expected an embedding of each of {loss.n_classes} classes, and of no other")
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
