"""Fit a transform in closed form: centre, flatten the spectrum, order by importance.

A *rotation* is orthogonal and keeps full-width cosines. A *transform* subtracts a mean and scales rows, so it changes
them: on the speech that it was fitted to they tell speakers apart better.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.architecture import BaseFile
from mrlspk.config.evaluation import SpeechMode
from mrlspk.inference.embedding_map import EmbeddingMap
from mrlspk.rotation.speaker_moments import Array, Rows, SpeakerBlock, SpeakerVectors, sum_scatter

Order = Literal["energy", "scatter"]
ORDERS: tuple[Order, ...] = get_args(Order)
LARGEST_POWER = 0.5  # whitening

FLOOR = 0.01  # eigenvalues below this share of their mean are raised to it
UNUSED = 1e-5  # a direction with a smaller share of the mean energy is rounding error, and comes last


@dataclass(frozen=True, eq=False)
class Transform:
    """A mean, a matrix and row scales: new values are ``(unit - mean) @ matrix.T * scales``.

    Attributes:
        mean: (embed_dim,) subtracted from vectors of unit length; zeros unless ``centred``.
        matrix: (embed_dim, embed_dim) rows of unit length, the most important first.
        scales: (embed_dim,) factor of each row; their mean square is 1.
        dims: Prefix widths, rising; the last is the full width.
        centred: Whether the mean of the speakers' means is subtracted.
        flatten: Power of the flattening; 0 keeps the spectrum.
        order: Order of the rows.
        fingerprint: Of the model that made the vectors; None if unknown.
        base: That model; None if the transform is for vectors alone.
        speech: Mode of the speech that it was fitted to; None if unknown.
        speech_detector: Version of the detector; None for whole recordings, and if unknown.
    """

    mean: Array
    matrix: Array
    scales: Array
    dims: tuple[int, ...]
    centred: bool
    flatten: float
    order: Order
    fingerprint: str | None = None
    base: BaseFile | None = None
    speech: SpeechMode | None = None
    speech_detector: str | None = None

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return len(self.mean)

    @property
    def scaled_matrix(self) -> Array:
        """(embed_dim, embed_dim) the matrix with scaled rows."""
        scaled: Array = self.matrix * self.scales[:, None]
        return scaled

    def summary(self) -> dict[str, Any]:
        """Return what cards and JSON say of it."""
        return describe_transform(centred=self.centred, flatten=self.flatten, order=self.order)

    @property
    def map(self) -> EmbeddingMap:
        """What it computes of vectors at unit length."""
        return EmbeddingMap(self.scaled_matrix, -self.scaled_matrix @ self.mean, self.dims)

    def apply(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map (n, embed_dim) of any length but zero to (n, embed_dim), not of unit length."""
        return self.map.apply(vectors)


def describe_transform(*, centred: bool, flatten: float, order: Order | None) -> dict[str, Any]:
    """Return the entry ``transform`` of cards and JSON; a rotation by a method has no order of these."""
    return {"centred": centred, "flatten": flatten, "order": order}


def fit_transform(
    vectors: NDArray[np.floating],
    speaker_index: NDArray[np.integer],
    *,
    centre: bool,
    flatten: float,
    order: Order,
    corpus_index: NDArray[np.integer] | None = None,
    dims: tuple[int, ...] = (),
    unit_length: bool = True,
) -> Transform:
    """Fit a transform to labelled vectors in one pass, two for ``scatter``, in float32 with sums in float64.

    A speaker counts as the square root of its number of vectors: more than one with few, which is known less well, and
    not in proportion. With ``corpus_index`` each corpus counts once, and each of its speakers.

    1. Vectors are brought to unit length.
    2. The weighted mean of the speakers' means is subtracted.
    3. A symmetric matrix flattens the spectrum of S_w, the weighted mean over speakers of the second moment of vectors
       about their speaker's mean: each eigenvector is scaled by its eigenvalue to the power of ``-flatten``. Directions
       in which one speaker's recordings differ count less. Eigenvalues have a floor, because a model may not use all
       directions of its embedding. This is done at full width, before any value is cut off.
    4. Rows are ordered. ``energy``: eigenvectors of the second moment of these vectors. ``scatter``: eigenvectors of
       S_b - S_w of these vectors at unit length, where S_b is the second moment of speakers' means.

    Args:
        vectors: (n, embed_dim), of any length but zero; may be a memory map.
        speaker_index: (n,) speaker labels; any integers.
        centre: Whether to subtract the mean.
        flatten: Power, from 0 to 0.5; 0.5 is whitening of S_w.
        order: Order of the rows.
        corpus_index: (n,) corpus labels; any integers. None: one corpus.
        dims: Prefix widths beside the full one.
        unit_length: False to skip step 1: for a map that follows a linear layer and is to be folded into it.

    Raises:
        ValueError: If the arrays do not match, a vector has no direction, the power or the order is not known, a
            speaker is in two corpora, there are too few speakers to flatten or to order by scatter, or the vectors of
            each speaker are equal and cannot be flattened.
    """
    if not 0 <= flatten <= LARGEST_POWER or order not in ORDERS:
        raise ValueError(f"expected a power from 0 to {LARGEST_POWER} and an order of {ORDERS}, got {flatten}, {order}")
    speakers = SpeakerVectors(vectors, speaker_index)
    n_vectors, n_speakers, embed_dim = len(vectors), len(speakers.counts), speakers.dim
    if (order == "scatter" or flatten) and not 1 < n_speakers < n_vectors:
        raise ValueError(
            f"flattening and order by scatter need two speakers, one of them with two vectors, "
            f"got {n_speakers} of {n_vectors}"
        )
    weights = _speaker_weights(speaker_index, corpus_index)
    scatter = sum_scatter(speakers, weights, lambda block: _scale(block, unit_length=unit_length))
    mean = scatter.mean if centre else np.zeros(embed_dim)
    if flatten and np.trace(scatter.within) <= UNUSED * np.trace(scatter.moment):
        raise ValueError("flattening needs vectors that differ within speakers")
    flattening = _flattening(scatter.within, flatten)
    if order == "scatter":
        rows = _rows_by_scatter(speakers, weights, mean, flattening, unit_length=unit_length)
    else:
        rows = np.linalg.eigh(flattening @ scatter.moment_about(mean) @ flattening)[1][:, ::-1].T
    scaled = rows @ flattening
    scales = np.linalg.norm(scaled, axis=1)
    matrix = _with_positive_peaks(scaled / scales[:, None])
    widths = tuple(sorted({*dims, embed_dim}))
    return Transform(mean, matrix, scales / np.sqrt((scales**2).mean()), widths, centre, flatten, order)


def _speaker_weights(speaker_index: NDArray[np.integer], corpus_index: NDArray[np.integer] | None) -> Array:
    """Return the weight of each speaker (speakers,), by rising label; their sum is 1."""
    labels, first, counts = np.unique(speaker_index, return_index=True, return_counts=True)
    if corpus_index is None:
        roots: Array = np.sqrt(counts)
        return roots / roots.sum()
    if corpus_index.shape != speaker_index.shape:
        raise ValueError(f"expected a corpus of each vector, {speaker_index.shape}, got {corpus_index.shape}")
    own = corpus_index[first]
    if (own[np.searchsorted(labels, speaker_index)] != corpus_index).any():
        raise ValueError("a speaker is in two corpora")
    _, corpora, sizes = np.unique(own, return_inverse=True, return_counts=True)
    weights: Array = 1 / sizes[corpora] / len(sizes)
    return weights


def _scale(block: SpeakerBlock, *, unit_length: bool) -> None:
    """Bring the rows of a block to unit length in place, if wanted."""
    rows = block.rows
    squares = np.einsum("ij,ij->i", rows, rows)
    if not (np.isfinite(squares).all() and squares.all()):
        raise ValueError("a vector is zero or not finite")
    if unit_length:
        rows *= (1 / np.sqrt(squares))[:, None]


def _flattening(within: Array, power: float) -> Array:
    """Return the symmetric matrix that flattens the spectrum of S_w."""
    values, vectors = np.linalg.eigh(within)
    factors = np.maximum(values, FLOOR * values.mean()) ** -power if power else np.ones(len(values))
    flattening: Array = (vectors * factors) @ vectors.T
    return flattening


def _rows_by_scatter(
    speakers: SpeakerVectors, weights: Array, mean: Array, flattening: Array, *, unit_length: bool
) -> Array:
    """Return the eigenvectors of S_b - S_w of flattened vectors at unit length, as rows.

    The flattened vectors y @ F are never made: their lengths are those of y @ L, where F F = L L^T, which takes half
    the time, and F moves out of all sums.
    """
    from scipy.linalg import blas

    triangle = np.asfortranarray(np.linalg.cholesky(flattening @ flattening).astype(np.float32))
    shift = mean.astype(np.float32)

    def change(block: SpeakerBlock) -> Rows:
        rows = block.rows
        _scale(block, unit_length=unit_length)
        rows -= shift
        mapped = blas.strmm(1.0, triangle, rows.T, lower=1, trans_a=1)  # (rows @ L).T
        squares = np.einsum("ji,ji->i", mapped, mapped)
        return (1 / np.sqrt(np.where(squares > 0, squares, 1))).astype(np.float32)

    found = sum_scatter(speakers, weights, change)
    moment, between = (flattening @ each @ flattening for each in (found.moment, found.between))
    rows = np.linalg.eigh(2 * between - moment)[1][:, ::-1].T
    energy = np.einsum("ij,jk,ik->i", rows, moment, rows, optimize=True)
    return rows[np.argsort(energy <= UNUSED * energy.mean(), kind="stable")]


def _with_positive_peaks(rows: Array) -> Array:
    """Flip the signs of rows so that the largest value of each is positive."""
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    return rows * np.sign(largest)
