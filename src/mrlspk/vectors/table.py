"""Hold speaker vectors with their ids, read or not read yet."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import SpeechMode
from mrlspk.errors import DataError, shorten
from mrlspk.reading import parse_json

type Row = tuple[str, str, NDArray[np.generic]]
"""Id, place in the file, and vector (dim,)."""
type Block = tuple[tuple[str, ...], NDArray[np.float32]]
"""Ids (rows,) and vectors (rows, dim) of successive rows."""

BLOCK_VALUES = 1 << 22  # values read at a time: 16 MiB of float32


@dataclass(frozen=True)
class Origin:
    """What a file says of the model that made its vectors; None where it says nothing.

    Attributes:
        fingerprint: Of the model.
        speech_detector: Version of the detector whose speech was embedded, empty for whole recordings.
        dims: Prefix widths that the model was trained for.
    """

    fingerprint: str | None = None
    speech_detector: str | None = None
    dims: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class VectorTable:
    """Vectors and their ids as a file has them: ids may repeat, and values may be infinite or not numbers.

    Attributes:
        ids: (n,), in the order of the rows.
        vectors: (n, dim), n > 0 and dim > 0.
        fingerprint: Of the model that made them; None if unknown.
        speech_detector: Version of the detector whose speech was embedded, empty for whole recordings; None if unknown.
        dims: Prefix widths that the model was trained for; None if unknown.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    fingerprint: str | None = None
    speech_detector: str | None = None
    dims: tuple[int, ...] | None = None

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.vectors.shape[1])

    @property
    def speech(self) -> SpeechMode | None:
        """Mode of the speech that was embedded; None if unknown."""
        return speech_mode(self.speech_detector)

    @property
    def origin(self) -> Origin:
        """What is known of their model."""
        return Origin(self.fingerprint, self.speech_detector, self.dims)


@dataclass(frozen=True)
class RecordingFacts:
    """What a file of `mrlspk embed` says of a recording beside its vector.

    Attributes:
        seconds: Its length.
        speech_seconds: Speech in it; None if it was not searched.
        warnings: Such as ``silent``.
    """

    seconds: float
    speech_seconds: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class VectorFile:
    """A vector file that was recognised, and is read block by block.

    Attributes:
        path: The file.
        blocks: Reads it from its beginning.
        count: Number of vectors; None if only reading tells.
        origin: What it says of the model.
        facts: Reads what it says of each recording, in the order of the rows; None if it says nothing.
    """

    path: Path
    blocks: Callable[[], Iterator[Block]]
    count: int | None = None
    origin: Origin = Origin()
    facts: Callable[[], Iterator[RecordingFacts]] | None = None


def speech_mode(detector: str | None) -> SpeechMode | None:
    """Return the mode of a version of a speech detector: ``all`` for an empty text, None if it is unknown."""
    if not detector:
        return None if detector is None else "all"
    return "silero" if detector.startswith("silero") else "auto"


def read_widths(text: str, path: Path) -> tuple[int, ...]:
    """Return the widths in a text such as ``[64, 128]``.

    Raises:
        DataError: If it is anything else.
    """
    return as_widths(parse_json(text, path, DataError), path)


def as_widths(values: object, path: Path) -> tuple[int, ...]:
    """Return the prefix widths that a file names.

    Raises:
        DataError: If they are no rising whole numbers from 1.
    """
    if not (isinstance(values, list) and values and all(type(each) is int and each > 0 for each in values)):
        raise DataError(f"expected whole numbers as dims, got {shorten(repr(values), 60)}", path)
    if values != sorted(set(values)):
        raise DataError(f"expected rising widths as dims, got {shorten(repr(values), 60)}", path)
    return tuple(values)


def rows_per_block(dim: int) -> int:
    """Return how many vectors of a width are read at a time."""
    return max(1, BLOCK_VALUES // dim)


def as_float32(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return floats as float32 of this machine; what is too large becomes infinite, for the checks to find."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def gather_blocks(rows: Iterable[Row], path: Path) -> Iterator[Block]:
    """Yield rows in blocks.

    Raises:
        DataError: If a row has another width than the first, or there is none.
    """
    ids: list[str] = []
    vectors: list[NDArray[np.generic]] = []
    dim = 0
    for name, where, vector in rows:
        dim = dim or vector.size
        if vector.size != dim or not dim:
            raise DataError(f"expected {dim or 'some'} values, got {vector.size} of {shorten(name)}", where)
        ids.append(name)
        vectors.append(vector)
        if len(ids) == rows_per_block(dim):
            yield tuple(ids), as_float32(np.stack(vectors))
            ids, vectors = [], []
    if ids:
        yield tuple(ids), as_float32(np.stack(vectors))
    if not dim:
        raise DataError("expected vectors, got an empty file", path)
