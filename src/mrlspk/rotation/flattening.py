"""An embedding whose loud directions are turned down, so that a cosine does not rest on a few of them."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.rotation.closed_form import fit_rotation

FLOOR = 0.5  # added to each direction's energy, in units of the mean, so that quiet ones are not blown up


def flattening(embeddings: NDArray[np.floating], *, power: float) -> NDArray[np.float64]:
    """Return the rotation ``svd`` of embeddings with each row scaled by its energy to the power of minus ``power``.

    The energy of a row is its share of the second moment of unit embeddings, plus `FLOOR` times the mean share.
    Whitening would be a power of 0.5, which turns up noise as much as voices. (To take the loudest directions away
    altogether is Mu and Viswanath 2018, arXiv:1702.01417.)

    Args:
        embeddings: (n, embed_dim), of any length but zero.
        power: From 0, which changes nothing, to below 0.5.

    Returns:
        (embed_dim, embed_dim), the rows by falling energy, of the norm of a rotation.
    """
    rotation = fit_rotation(embeddings, np.zeros(len(embeddings), np.int64), method="svd")
    scaled = rotation.matrix * (rotation.spectrum + FLOOR * rotation.spectrum.mean())[:, None] ** -power
    flat: NDArray[np.float64] = scaled * np.linalg.norm(rotation.matrix) / np.linalg.norm(scaled)
    return flat
