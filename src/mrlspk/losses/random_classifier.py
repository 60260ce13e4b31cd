"""Compute the loss of an untrained classifier, to detect classifier weights that are not trained."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, logsumexp

from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss


def random_class_loss(
    n_classes: int, *, scale: float, margin: float, dim: int, easy_margin: bool = False, n_subcenters: int = 1
) -> float:
    """Return the expected margin-softmax loss of classifier weights independent of the embeddings.

    At large widths it is near ``ln(n_classes) + scale * sin(margin) + scale**2 / (2 * dim)``. At small widths the
    formula assumes more similar classes than ``n_classes`` random directions contain; the quantiles of the cosine
    avoid that.
    """
    others = scale * _cosine_quantiles(n_classes - 1, dim, n_subcenters)
    own = _cosine_quantiles(99, dim, n_subcenters)
    shifted = np.cos(np.arccos(own) + margin)
    mean_own = scale * float(np.mean(np.where(own > 0, shifted, own) if easy_margin else shifted))
    return float(logsumexp(np.append(others, mean_own))) - mean_own


def random_start_loss(criterion: MatryoshkaLoss) -> float | None:
    """Return the loss of ``criterion`` with random classifier weights at its current margin; None without classes."""
    loss = criterion.loss
    if not isinstance(loss, AAMSoftmax):
        return None
    total = 0.0
    for dim, weight in criterion.weight_of.items():
        total += weight * random_class_loss(
            loss.n_classes,
            scale=loss.scale,
            margin=loss.margin_at(dim),
            dim=dim,
            easy_margin=loss.easy_margin,
            n_subcenters=loss.n_subcenters,
        )
    return total / sum(criterion.weight_of.values())


def _cosine_quantiles(n: int, dim: int, n_subcenters: int) -> NDArray[np.float64]:
    """Return ``n`` even quantiles of the largest of ``n_subcenters`` cosines between random directions.

    For one cosine, (1 + cosine) / 2 has a Beta distribution with both parameters (dim - 1) / 2.
    """
    shape = max(dim - 1, 1) / 2  # a width of 1 has only the cosines 1 and -1; 2 is the nearest width with a density
    ranks = (np.arange(n) + 0.5) / max(n, 1)
    quantiles: NDArray[np.float64] = 2 * betaincinv(shape, shape, ranks ** (1 / n_subcenters)) - 1
    return quantiles
