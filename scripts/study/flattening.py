"""Flatten the spectrum of embeddings, as head runs once did; `mrlspk.rotation.transform` took its place."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.rotation.closed_form import fit_rotation

FLOOR = 0.5  # added to each share, in units of the mean share, so that weak directions are not amplified too much


def flattening(embeddings: NDArray[np.floating], *, power: float) -> NDArray[np.float64]:
    """Flatten the spectrum of embeddings: the rotation ``svd`` with each row scaled by its energy to ``-power``.

    The energy of a row is its share of the second moment of unit embeddings, plus `FLOOR` times the mean share. A
    cosine then depends less on a few strong directions. Whitening is a power of 0.5, which amplifies noise as much as
    voices. (Mu and Viswanath 2018, arXiv:1702.01417, remove the strongest directions.)

    Args:
        embeddings: (n, embed_dim), of any length but zero.
        power: From 0, which gives the plain rotation, to below 0.5.

    Returns:
        (embed_dim, embed_dim), rows by falling energy, scaled to the norm of a rotation.
    """
    rotation = fit_rotation(embeddings, np.zeros(len(embeddings), np.int64), method="svd")
    scaled = rotation.matrix * (rotation.spectrum + FLOOR * rotation.spectrum.mean())[:, None] ** -power
    flat: NDArray[np.float64] = scaled * np.linalg.norm(rotation.matrix) / np.linalg.norm(scaled)
    return flat
