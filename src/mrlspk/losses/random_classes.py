"""The loss that random class weights give: a trained model that shows it has lost its class weights."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, logsumexp

from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss


def random_class_loss(
    n_classes: int, *, scale: float, margin: float, dim: int, easy_margin: bool = False, n_subcenters: int = 1
) -> float:
    """Return the expected margin-softmax loss where the class weights know nothing of the embeddings.

    Near ``ln(n_classes) + scale * sin(margin) + scale**2 / (2 * dim)`` at large widths. At small ones that counts
    classes nearer than any of so few will be; here the classes stand at the quantiles of the cosine's distribution.
    """
    others = scale * _cosine_quantiles(n_classes - 1, dim, n_subcenters)
    own = _cosine_quantiles(99, dim, n_subcenters)
    shifted = np.cos(np.arccos(own) + margin)
    mean_own = scale * float(np.mean(np.where(own > 0, shifted, own) if easy_margin else shifted))
    return float(logsumexp(np.append(others, mean_own))) - mean_own


def random_start_loss(criterion: MatryoshkaLoss) -> float | None:
    """Return what ``criterion`` would give with random class weights at its present margin; None without classes."""
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

    For one cosine, (1 + cosine) / 2 is Beta distributed with both parameters at (dim - 1) / 2.
    """
    shape = max(dim - 1, 1) / 2  # a width of 1 has cosines of 1 and -1 only; 2 is the nearest that has a density
    ranks = (np.arange(n) + 0.5) / max(n, 1)
    quantiles: NDArray[np.float64] = 2 * betaincinv(shape, shape, ranks ** (1 / n_subcenters)) - 1
    return quantiles
