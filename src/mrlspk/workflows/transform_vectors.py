"""Fit a transform to labelled vectors, and apply one; neither needs a model or audio."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, UsageError
from mrlspk.files import check_free, file_sha256
from mrlspk.rotation.map_file import VectorMap, load_vector_map
from mrlspk.rotation.transform import LARGEST_POWER, Order, Transform, fit_transform
from mrlspk.rotation.transform_file import check_transform_suffix, save_transform
from mrlspk.vectors.checks import usable_rows
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import check_suffix, save_vectors
from mrlspk.vectors.speakers import read_speakers, require_speakers
from mrlspk.vectors.table import VectorTable


@dataclass(frozen=True)
class TransformRequest:
    """Options of a transform; the defaults are a rotation by falling energy.

    Attributes:
        centre: Whether to subtract the mean of the speakers' means.
        flatten: Power of the flattening, from 0 to 0.5.
        order: Order of the new values.
    """

    centre: bool = False
    flatten: float = 0.0
    order: Order = "energy"

    def __post_init__(self) -> None:
        if not 0 <= self.flatten <= LARGEST_POWER:
            raise UsageError(f"expected 0 to {LARGEST_POWER}, got {self.flatten:g}", parameter="flatten")

    def fit(
        self,
        vectors: NDArray[np.floating],
        speaker_index: NDArray[np.integer],
        *,
        where: Path,
        unit_length: bool = True,
    ) -> Transform:
        """Fit the transform, as `fit_transform` does.

        Raises:
            DataError: If there are too few speakers in ``where``, or a vector has no direction.
        """
        try:
            return fit_transform(
                vectors,
                speaker_index,
                centre=self.centre,
                flatten=self.flatten,
                order=self.order,
                unit_length=unit_length,
            )
        except ValueError as error:
            raise DataError(f"no transform can be fitted: {error}", where, "Give more speakers.") from error


@dataclass(frozen=True)
class FittedTransform:
    """A transform at ``path``, and the size of what it was fitted to."""

    path: Path
    transform: Transform
    n_speakers: int
    n_vectors: int
    sha256: str
    bytes: int


@dataclass(frozen=True)
class TransformedVectors:
    """The files of transformed vectors, the requested one first."""

    paths: tuple[Path, ...]
    count: int
    dim: int
    map: VectorMap


def fit_to_vectors(
    path: Path,
    *,
    output: Path,
    request: TransformRequest,
    dims: tuple[int, ...] | None = None,
    speakers: Path | None = None,
    ids: Path | None = None,
    force: bool = False,
) -> FittedTransform:
    """Fit a transform to the vectors of a file, and write it to ``output``.

    Args:
        path: Vectors of any format.
        output: File to write: .npz.
        request: Options.
        dims: Prefix widths beside the full one; None: 64 and 128.
        speakers: Speaker labels; None for the part of each id before its first ``/``.
        ids: Ids of the rows of an .npy file.
        force: Overwrite ``output``.

    Raises:
        DataError: If the vectors or labels cannot be read, a vector has no direction or no speaker, or there are too
            few speakers.
        UsageError: If a width is wider than the vectors, or ``output`` does not end in .npz.
        MrlspkError: If ``output`` exists and ``force`` is false, or cannot be written.
    """
    check_transform_suffix(output)
    check_free(output, force=force)
    labels = None if speakers is None else read_speakers(speakers)
    table = load_vectors(path, ids=ids)
    names = require_speakers(table.ids, labels, path)
    _check_values(table, path)
    speaker_index = np.unique(names, return_inverse=True)[1]
    fitted = request.fit(table.vectors, speaker_index, where=path)
    transform = replace(
        fitted,
        dims=_widths(dims, table.dim),
        fingerprint=table.fingerprint,
        speech=table.speech,
        speech_detector=table.speech_detector or None,
    )
    save_transform(transform, output, force=force)
    counts = int(speaker_index.max()) + 1, len(table.ids)
    return FittedTransform(output, transform, *counts, file_sha256(output), output.stat().st_size)


def apply_to_vectors(
    path: Path,
    map_path: Path,
    output: Path,
    *,
    dim: int | None = None,
    ids: Path | None = None,
    force: bool = False,
) -> TransformedVectors:
    """Apply a transform or a head to the vectors of a file, and write them at unit length to ``output``.

    The fingerprint that it writes is that of the model with the map after it, as if it had embedded the audio.

    Args:
        path: Vectors of any format.
        map_path: The transform, or the checkpoint with the head.
        output: File to write, in the format of its suffix.
        dim: Values to keep; None for all.
        ids: Ids of the rows of an .npy file.
        force: Overwrite ``output``.

    Raises:
        DataError: If a file cannot be read, or the vectors are of another width or model than the map.
        CheckpointError: If the checkpoint is damaged, or has a network of its own.
        UsageError: If ``dim`` is wider than the map gives, or the suffix of ``output`` is not known.
        MrlspkError: If ``output`` exists and ``force`` is false, or cannot be written.
    """
    check_suffix(output)
    check_free(output, force=force)
    found = load_vector_map(map_path)
    full = found.map.embed_dim
    width = dim or full
    if width > full:
        raise UsageError(f"{map_path} gives {full} values, got {width}", parameter="dim")
    table = load_vectors(path, ids=ids)
    _check_values(table, path)
    found.check_fit(table, path)
    narrow = found.map.apply(table.vectors)[:, :width]
    narrow /= np.maximum(np.linalg.norm(narrow, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    dims = tuple(sorted({each for each in found.map.dims if each < width} | {width}))
    moved = VectorTable(table.ids, narrow, found.fingerprint_on(table), table.speech_detector, dims)
    return TransformedVectors(save_vectors(moved, output, force=force), len(table.ids), width, found)


def _check_values(table: VectorTable, path: Path) -> None:
    """Check that every vector has a direction.

    Raises:
        DataError: If one is zero or not finite.
    """
    usable = usable_rows(table)
    if not usable.all():
        first = table.ids[int(np.argmin(usable))]
        what = f"{(~usable).sum()} of {len(usable)} vectors are zero or not finite, such as {first}"
        raise DataError(what, path, "Remove them; `mrlspk vectors inspect` lists them.")


def _widths(dims: tuple[int, ...] | None, full: int) -> tuple[int, ...]:
    if dims is None:
        dims = tuple(dim for dim in (64, 128) if dim < full)
    if too_wide := [dim for dim in dims if dim > full]:
        what = f"the vectors have {full} values, and a width of {too_wide[0]} needs training"
        raise UsageError(what, fix=f"Give widths up to {full}.", parameter="dims")
    return tuple(sorted({*dims, full}))
