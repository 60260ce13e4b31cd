"""Load the vectors of one model from several files, each at unit length."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, shorten
from mrlspk.vectors.checks import refuse_unusable, usable_rows
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.table import Origin, VectorTable, rows_per_block

SAME_MODEL = "Give vectors of one model."


@dataclass(frozen=True, eq=False)
class UnitVectors:
    """Vectors of one model at unit length; the rows of all files follow each other.

    Attributes:
        paths: The files.
        ids: (n,), each once.
        parts: Vectors (rows, dim) of each file.
        origin: What the files say of the model.
    """

    paths: tuple[Path, ...]
    ids: tuple[str, ...]
    parts: tuple[NDArray[np.float32], ...]
    origin: Origin

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.parts[0].shape[1])

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(files,) first row of each file."""
        return np.cumsum([0, *map(len, self.parts[:-1])])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows (n,) of ids."""
        return np.fromiter((self._row_of[id_] for id_ in ids), np.int64, len(ids))

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (n, dim) of rows (n,), in any order."""
        if len(self.parts) == 1:
            return self.parts[0][indices]
        found = np.empty((len(indices), self.dim), np.float32)
        of_file = np.searchsorted(self.starts, indices, side="right") - 1
        for number, part in enumerate(self.parts):
            places = of_file == number
            found[places] = part[indices[places] - self.starts[number]]
        return found


def load_unit_vectors(paths: Sequence[Path]) -> UnitVectors:
    """Return the vectors of files, scaled to unit length in place: there is one copy of them in memory.

    Raises:
        DataError: If a file cannot be read, a vector has no direction, an id repeats, or the files are of different
            widths or, as far as they say, of different models.
        MissingDependencyError: If a file is Parquet and pyarrow is not installed.
    """
    tables: list[VectorTable] = []
    for path in paths:
        table = load_vectors(path)
        if len(set(table.ids)) < len(table.ids) or not usable_rows(table).all():
            refuse_unusable(table, path)
        _check_same_model(tables, table, paths[0], path)
        _scale(table.vectors)
        tables.append(table)
    ids = tuple(id_ for table in tables for id_ in table.ids)
    if len(set(ids)) < len(ids):
        raise _shared_id(tables, paths)
    return UnitVectors(tuple(paths), ids, tuple(table.vectors for table in tables), _known(tables))


def _shared_id(tables: Sequence[VectorTable], paths: Sequence[Path]) -> DataError:
    """Return the error that names the first id of two files."""
    file_of: dict[str, Path] = {}
    for table, path in zip(tables, paths, strict=True):
        if shared := next((id_ for id_ in table.ids if id_ in file_of), None):
            fix = "Leave one of the files out, or rename its ids: an id names one vector."
            return DataError(f"expected other ids than in {file_of[shared]}, got {shorten(shared)}", path, fix)
        file_of |= dict.fromkeys(table.ids, path)
    raise AssertionError("no id is in two files")


def _check_same_model(tables: Sequence[VectorTable], table: VectorTable, first: Path, path: Path) -> None:
    """Check width, fingerprint and speech detector, as far as they are known."""
    if not tables:
        return
    if table.dim != tables[0].dim:
        raise DataError(f"expected {tables[0].dim} values a vector, as in {first}, got {table.dim}", path, SAME_MODEL)
    known = _known(tables)
    if None not in {known.fingerprint, table.fingerprint} and known.fingerprint != table.fingerprint:
        what = f"expected vectors of the model {known.fingerprint}, as in {first}, got {table.fingerprint}"
        raise DataError(what, path, SAME_MODEL)
    detectors = known.speech_detector, table.speech_detector
    if None not in detectors and detectors[0] != detectors[1]:
        named = [each or "whole recordings" for each in detectors]
        raise DataError(f"expected embeddings of {named[0]}, as in {first}, got {named[1]}", path, SAME_MODEL)


def _known(tables: Sequence[VectorTable]) -> Origin:
    """Return the first thing that a file says of each."""
    origins = [table.origin for table in tables]
    return Origin(
        next((each.fingerprint for each in origins if each.fingerprint is not None), None),
        next((each.speech_detector for each in origins if each.speech_detector is not None), None),
        next((each.dims for each in origins if each.dims is not None), None),
    )


def _scale(vectors: NDArray[np.float32]) -> None:
    step = rows_per_block(vectors.shape[1])
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
