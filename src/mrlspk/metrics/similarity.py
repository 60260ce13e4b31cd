"""Compare embeddings with each other by cosine, at any prefix width."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrlspk.errors import MetricError


def cosine(a: ArrayLike, b: ArrayLike, *, dim: int | None = None) -> float:
    """Return the cosine, in [-1, 1], of two embeddings (width,).

    Args:
        a: An embedding, of any length.
        b: Another of the same width.
        dim: Compare the first ``dim`` values only: cut first, then normalised. Then the widths may differ.

    Raises:
        MetricError: If the widths differ or are below ``dim``, or an embedding is zero or not finite.
    """
    first, second = _embeddings(a, "a", ndim=1), _embeddings(b, "b", ndim=1)
    return float(cosine_matrix(first[None], second[None], dim=dim)[0, 0])


def cosine_matrix(a: ArrayLike, b: ArrayLike, *, dim: int | None = None) -> NDArray[np.float64]:
    """Return the cosine of every row of ``a`` (n, width) with every row of ``b`` (m, width), as (n, m).

    Args:
        a: Embeddings, of any length.
        b: Others of the same width.
        dim: Compare the first ``dim`` values only: cut first, then normalised. Then the widths may differ.

    Raises:
        MetricError: If the widths differ or are below ``dim``, or an embedding is zero or not finite.
    """
    first, second = _embeddings(a, "a", ndim=2), _embeddings(b, "b", ndim=2)
    widths = first.shape[1], second.shape[1]
    if dim is None and widths[0] != widths[1]:
        raise MetricError(
            f"the embeddings have {widths[0]} and {widths[1]} values", fix="Give `dim`, a width that both have."
        )
    if dim is not None and not 0 < dim <= min(widths):
        raise MetricError(f"embeddings of {min(widths)} values have no width {dim}", parameter="dim")
    return np.clip(_unit_rows(first[:, :dim], "a") @ _unit_rows(second[:, :dim], "b").T, -1, 1)


def _embeddings(values: ArrayLike, name: str, *, ndim: int) -> NDArray[np.float64]:
    """Return one embedding (width,) or several (n, width) as float64."""
    expected = f"expected {'an embedding (width,)' if ndim == 1 else 'embeddings (n, width)'}"
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise MetricError(f"{expected}, got rows of different widths", parameter=name) from error
    if array.ndim != ndim or array.dtype.kind not in "fiu" or array.shape[-1] == 0:
        raise MetricError(f"{expected}, got {array.dtype} of shape {array.shape}", parameter=name)
    return array.astype(np.float64)


def _unit_rows(rows: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the rows at unit length."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    sound = np.isfinite(lengths) & (lengths > 0)
    if not sound.all():
        raise MetricError(f"embedding {int(np.argmin(sound))} is zero or not finite", parameter=name)
    unit: NDArray[np.float64] = rows / lengths
    return unit
