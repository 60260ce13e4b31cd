"""Fit rotations in closed form, and the transform that flattens the spectrum.

A rotation keeps full-width cosines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError

type Array = NDArray[np.float64]
Method = Literal["none", "svd", "class_svd", "between_within", "lda_qr"]
METHODS: tuple[Method, ...] = get_args(Method)
WITH_PARAMETER = "between_within", "lda_qr"

NEGLIGIBLE = 1e-10  # an eigenvalue below this share of the largest is zero
ORTHOGONAL = 1e-10  # how far a rotation times its transpose may be from the identity


@dataclass(frozen=True, eq=False)
class Rotation:
    """An orthogonal matrix that rotates embeddings, and how it was fitted.

    Attributes:
        method: See `fit_rotation`.
        parameter: Parameter of the method; None if it has none.
        matrix: (embed_dim, embed_dim); one row per new value, the most important first.
        spectrum: (embed_dim,) share of the second moment of unit embeddings in each new value.
    """

    method: Method
    parameter: float | None
    matrix: Array
    spectrum: Array

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint: plain values."""
        return {
            "method": self.method,
            "parameter": self.parameter,
            "matrix": self.matrix.tolist(),
            "spectrum": self.spectrum.tolist(),
        }


def fit_rotation(
    embeddings: NDArray[np.floating],
    speaker_index: NDArray[np.integer],
    *,
    method: Method,
    parameter: float | None = None,
) -> Rotation:
    """Fit a rotation to the directions of embeddings.

    - ``none``: the identity.
    - ``svd``: eigenvectors of the uncentred second moment; speakers are not used.
    - ``class_svd``: the same for the mean directions of speakers, each counted once.
    - ``between_within``: eigenvectors of S_b - ``parameter`` S_w.
    - ``lda_qr``: directions of the linear discriminant analysis of S_b against S_w + ``parameter`` tr(S_w) / D I, made
      orthogonal in order (QR), so that each prefix spans the leading directions.

    S_b is the second moment of the speakers' means, S_w that of embeddings about the mean of their speaker, both over
    embeddings of unit length. Their sum is the uncentred second moment. S_b is about zero, not about the global mean,
    as a cosine is. The largest value of each row is positive.

    Args:
        embeddings: (n, embed_dim), of any length but zero.
        speaker_index: (n,) speaker labels; any integers.
        method: The method.
        parameter: Not negative for ``between_within`` and ``lda_qr``; None for the others.

    Raises:
        ValueError: If the arrays do not match, an embedding has no direction, the parameter does not fit the method,
            or there are too few speakers for it.
    """
    _check_parameter(method, parameter)
    unit = _directions(embeddings, speaker_index)
    labels = np.unique(speaker_index, return_inverse=True)[1]
    if method in WITH_PARAMETER and not 1 < labels.max() + 1 < len(unit):
        raise ValueError(
            f"{method} needs two speakers, one of them with two embeddings, got {labels.max() + 1} of {len(unit)}"
        )
    matrix = _with_positive_peaks(_FITS[method](unit, labels, parameter or 0.0))
    return Rotation(method, parameter, matrix, spectrum_of(unit, matrix))


def spectrum_of(embeddings: NDArray[np.floating], matrix: Array) -> Array:
    """Return the share of the second moment of (n, embed_dim), at unit length, along each row of ``matrix``."""
    rotated = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True) @ matrix.T
    energy = np.asarray((rotated**2).mean(axis=0), dtype=np.float64)
    shares: Array = energy / energy.sum()
    return shares


def read_rotation(entry: Any, path: Path) -> Rotation:
    """Return the rotation in an entry of the checkpoint ``path``; other keys of the entry are ignored.

    Raises:
        CheckpointError: If the entry is damaged.
    """
    try:
        method, parameter = entry["method"], entry["parameter"]
        matrix, spectrum = (np.array(entry[key]) for key in ("matrix", "spectrum"))
        _check_entry(method, parameter, matrix, spectrum)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"its rotation is damaged: {error}", path, "Use the checkpoint as it was written."
        ) from error
    return Rotation(method, parameter, matrix, spectrum)


def _check_entry(method: Any, parameter: Any, matrix: Array, spectrum: Array) -> None:
    if method not in METHODS or not (parameter is None or isinstance(parameter, float)):
        raise ValueError(f"unknown method {method!r} with parameter {parameter!r}")
    _check_parameter(method, parameter)
    if any(values.dtype != np.float64 for values in (matrix, spectrum)):
        raise ValueError("its matrix and spectrum are not numeric")
    if matrix.shape != (spectrum.size,) * 2 or spectrum.ndim != 1:
        raise ValueError(f"a matrix of shape {matrix.shape} and a spectrum of shape {spectrum.shape} do not fit")
    if not (np.isfinite(spectrum).all() and (spectrum >= 0).all()):
        raise ValueError("its spectrum holds values that are not shares")
    if not np.abs(matrix @ matrix.T - np.eye(len(matrix))).max(initial=0) <= ORTHOGONAL:
        raise ValueError("its matrix is not orthogonal")


def _check_parameter(method: Method, parameter: float | None) -> None:
    if (method in WITH_PARAMETER) != (parameter is not None) or not 0 <= (parameter or 0) < np.inf:
        raise ValueError(f"{method} does not take the parameter {parameter}")


def _directions(embeddings: NDArray[np.floating], speaker_index: NDArray[np.integer]) -> Array:
    """Return embeddings (n, embed_dim) at unit length, in float64."""
    if embeddings.ndim != 2 or not len(embeddings) or speaker_index.shape != embeddings.shape[:1]:
        raise ValueError(f"expected (n, embed_dim) and (n,), got {embeddings.shape} and {speaker_index.shape}")
    values = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("an embedding is zero or not finite")
    unit: Array = values / lengths
    return unit


def _identity(unit: Array, _labels: NDArray[np.intp], _parameter: float) -> Array:
    return np.eye(unit.shape[1])


def _svd(unit: Array, _labels: NDArray[np.intp], _parameter: float) -> Array:
    return _eigenvectors(_moment(unit), _moment(unit))


def _class_svd(unit: Array, labels: NDArray[np.intp], _parameter: float) -> Array:
    means = _speaker_means(unit, labels)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return _eigenvectors(_moment(means / np.where(lengths > 0, lengths, 1)), _moment(unit))


def _between_within(unit: Array, labels: NDArray[np.intp], within_share: float) -> Array:
    between, within = _scatter(unit, labels)
    return _eigenvectors(between - within_share * within, _moment(unit))


def _lda_qr(unit: Array, labels: NDArray[np.intp], shrinkage: float) -> Array:
    between, within = _scatter(unit, labels)
    noise = within + shrinkage * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(noise)
    if values[0] <= NEGLIGIBLE * values[-1]:
        raise ValueError("lda_qr needs shrinkage, or more embeddings that differ within speakers")
    whiten = vectors / np.sqrt(values)  # noise becomes the identity
    inner = _eigenvectors(whiten.T @ between @ whiten, whiten.T @ _moment(unit) @ whiten)
    orthogonal: Array = np.linalg.qr(whiten @ inner.T)[0].T
    return orthogonal


_FITS: dict[Method, Callable[[Array, NDArray[np.intp], float], Array]] = {
    "none": _identity,
    "svd": _svd,
    "class_svd": _class_svd,
    "between_within": _between_within,
    "lda_qr": _lda_qr,
}


def _moment(vectors: Array) -> Array:
    """Return the uncentred second moment (dim, dim) of (n, dim)."""
    moment: Array = vectors.T @ vectors / len(vectors)
    return moment


def _speaker_means(unit: Array, labels: NDArray[np.intp]) -> Array:
    sums = np.zeros((labels.max() + 1, unit.shape[1]))
    np.add.at(sums, labels, unit)
    means: Array = sums / np.bincount(labels)[:, None]
    return means


def _scatter(unit: Array, labels: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return S_b and S_w, which add up to the second moment of (n, embed_dim)."""
    own_mean = _speaker_means(unit, labels)[labels]
    return _moment(own_mean), _moment(unit - own_mean)


def _eigenvectors(symmetric: Array, moment: Array) -> Array:
    """Return the eigenvectors of ``symmetric`` as rows, by falling eigenvalue.

    ``moment`` orders the directions whose eigenvalue is zero, such as those outside the span of few speakers.
    """
    values, vectors = np.linalg.eigh(symmetric)
    values, rows = values[::-1], vectors.T[::-1]
    null = np.abs(values) <= NEGLIGIBLE * np.abs(values).max()
    inner = np.linalg.eigh(rows[null] @ moment @ rows[null].T)[1][:, ::-1]
    return np.concatenate([rows[(values > 0) & ~null], inner.T @ rows[null], rows[(values < 0) & ~null]])


def _with_positive_peaks(rows: Array) -> Array:
    """Flip the signs of rows so that the largest value of each is positive."""
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    return rows * np.sign(largest)
