"""Read .npz and .npy files of vectors block by block; pickled objects are never loaded."""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, MrlspkError, shorten
from mrlspk.reading import LARGEST_LIST, read_text
from mrlspk.vectors.table import Block, Origin, RecordingFacts, VectorFile, as_float32, as_widths, rows_per_block

IDS, EMBEDDINGS = "ids", "embeddings"
FACTS = "seconds", "speech_seconds", "warnings"  # as `mrlspk embed` writes them
IDS_SUFFIX = ".ids.txt"
SAVE = "Save it with `numpy.savez(FILE, ids=ids, embeddings=vectors)`: texts (n,) and floats (n, dim)."
_SAVE_AS = {".npz": SAVE, ".npy": "Save floats (n, dim) with `numpy.save(FILE, vectors)`."}
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_FAULTS = (OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, OverflowError, MemoryError, SyntaxError)
_FORMAT_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError)  # as Python's parsers raise them


@dataclass(frozen=True)
class _Header:
    """Type and shape (n, dim) of the stored vectors."""

    count: int
    dim: int
    dtype: np.dtype[np.generic]
    is_fortran: bool


def open_npz(path: Path) -> VectorFile:
    """Open an .npz file with the arrays ``ids`` (n,) and ``embeddings`` (n, dim).

    Raises:
        DataError: If it is not such a file.
    """
    member = f"{EMBEDDINGS}.npy"
    with _faults(path, ".npz"), zipfile.ZipFile(path) as archive:
        sizes = {each.filename.removesuffix(".npy"): each.file_size for each in archive.infolist()}
        for name in (IDS, EMBEDDINGS):
            if name not in sizes:
                found = shorten(", ".join(sizes)) or "no arrays"
                raise DataError(f"expected the arrays {IDS} and {EMBEDDINGS}, got {found}", path, SAVE)
        with archive.open(member) as stream:
            count = _read_header(stream, sizes[EMBEDDINGS], path, ".npz").count
        ids = _ids(archive, path)
        _check_count(len(ids), count, path, SAVE)
        origin = _origin(archive, sizes, path)

    def blocks() -> Iterator[Block]:
        with _faults(path, ".npz"), zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield from _blocks(stream, sizes[EMBEDDINGS], ids, path, ".npz")

    def facts() -> Iterator[RecordingFacts]:
        with _faults(path, ".npz"), zipfile.ZipFile(path) as archive:
            yield from _facts([_array(archive, name) for name in FACTS], count)

    return VectorFile(path, blocks, count, origin, facts if sizes.keys() >= set(FACTS) else None)


def open_npy(path: Path, ids: Path | None, *, number_rows: bool = False) -> VectorFile:
    """Open an .npy file (n, dim) with a text file of n ids, by default ``NAME.ids.txt`` beside ``NAME.npy``.

    With ``number_rows``, rows without that file are numbered from 0.

    Raises:
        DataError: If one of the files is not that, or their numbers of rows differ.
    """
    ids_path = ids or path.with_suffix(IDS_SUFFIX)
    fix = f"Write one id per line, in the order of the rows, to {path.with_suffix(IDS_SUFFIX)}, or give `ids=FILE`."
    with _faults(path, ".npy"):
        size = path.stat().st_size
        with path.open("rb") as stream:
            count = _read_header(stream, size, path, ".npy").count
    if number_rows and ids is None and not ids_path.exists():
        names = tuple(map(str, range(count)))
    else:
        names = _read_ids(ids_path, count, fix)

    def blocks() -> Iterator[Block]:
        with _faults(path, ".npy"), path.open("rb") as stream:
            yield from _blocks(stream, size, names, path, ".npy")

    return VectorFile(path, blocks, count)


def _read_ids(path: Path, count: int, fix: str) -> tuple[str, ...]:
    names = tuple(read_text(path, DataError, fix, most_bytes=LARGEST_LIST).split("\n"))
    names = tuple(name.strip() for name in names[: -1 if names[-1] == "" else None])
    if "" in names:
        raise DataError("expected an id, got an empty line", f"{path}:{names.index('') + 1}", fix)
    _check_count(len(names), count, path, fix)
    return names


def as_texts(array: NDArray[np.generic], path: Path) -> tuple[str, ...]:
    """Return the ids of an array.

    Raises:
        DataError: If they are not texts.
    """
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise DataError(f"expected {IDS} as texts (n,), got {array.dtype} of shape {array.shape}", path, SAVE)
    if array.dtype.kind == "S":
        return tuple(name.decode() for name in array.tolist())
    return tuple(array.tolist())


def _ids(archive: zipfile.ZipFile, path: Path) -> tuple[str, ...]:
    with archive.open(f"{IDS}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        if version in _HEADERS and _HEADERS[version](stream)[2].hasobject:
            what = f"expected {IDS} as texts (n,), got pickled Python objects, which are not loaded"
            raise DataError(what, path, "Save them as texts: `numpy.savez(FILE, ids=numpy.array(ids, str), …)`.")
    return as_texts(_array(archive, IDS), path)


def _facts(columns: Sequence[NDArray[np.generic]], count: int) -> Iterator[RecordingFacts]:
    """Yield what arrays (count,) of seconds, seconds of speech and warnings say.

    Raises:
        ValueError: If they are not that.
    """
    kinds = "f", "f", "U"
    if any(each.shape != (count,) or each.dtype.kind != kind for each, kind in zip(columns, kinds, strict=True)):
        raise ValueError(f"{', '.join(FACTS)} are not numbers, numbers and texts ({count},)")
    for seconds, speech, warnings in zip(*(each.tolist() for each in columns), strict=True):
        known = None if math.isnan(speech) else speech
        yield RecordingFacts(seconds, known, tuple(warnings.split(", ")) if warnings else ())


def _origin(archive: zipfile.ZipFile, sizes: Mapping[str, int], path: Path) -> Origin:
    return Origin(
        fingerprint=(str(_array(archive, "fingerprint")) if "fingerprint" in sizes else "") or None,
        speech_detector=str(_array(archive, "speech_detector")) if "speech_detector" in sizes else None,
        dims=as_widths(_array(archive, "dims").tolist(), path) if "dims" in sizes else None,
    )


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    with archive.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _read_header(stream: IO[bytes], size: int, path: Path, kind: str) -> _Header:
    """Read the header of stored vectors, and compare it with the ``size`` in bytes of header and data.

    Raises:
        DataError: If they are not floats (n, dim), or the data is not as long.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the NumPy format")
    shape, is_fortran, dtype = _HEADERS[version](stream)
    fix = _SAVE_AS[kind]
    if dtype.hasobject:
        raise DataError("expected floats (n, dim), got pickled Python objects, which are not loaded", path, fix)
    if len(shape) != 2 or dtype.kind != "f" or 0 in shape:
        raise DataError(f"expected floats (n, dim), got {dtype} of shape {shape}", path, fix)
    expected, found = shape[0] * shape[1] * dtype.itemsize, size - stream.tell()
    if found != expected:
        raise DataError(
            f"expected {expected:,} bytes for {shape[0]} vectors of {shape[1]} values, got {found:,}", path, fix
        )
    return _Header(*shape, dtype, is_fortran)


def _blocks(stream: IO[bytes], size: int, ids: tuple[str, ...], path: Path, kind: str) -> Iterator[Block]:
    header = _read_header(stream, size, path, kind)
    rows = header.count if header.is_fortran else rows_per_block(header.dim)
    for first in range(0, header.count, rows):
        names = ids[first : first + rows]
        wanted = len(names) * header.dim * header.dtype.itemsize
        content = stream.read(wanted)
        if len(content) != wanted:
            raise EOFError(f"ends after {first} of {header.count} vectors")
        values = np.frombuffer(content, header.dtype)
        block = values.reshape(header.dim, -1).T if header.is_fortran else values.reshape(-1, header.dim)
        yield names, as_float32(block)


def _check_count(n_ids: int, n_rows: int, path: Path, fix: str) -> None:
    if n_ids != n_rows:
        raise DataError(f"expected an id for each of {n_rows} vectors, got {n_ids} ids", path, fix)


@contextmanager
def _faults(path: Path, kind: str) -> Iterator[None]:
    """Turn every error of reading into a `DataError` of the file."""
    try:
        yield
    except MrlspkError:
        raise
    except (*_FAULTS, *_FORMAT_FAULTS) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"cannot be read as an {kind} file: {shorten(cause)}", path, _SAVE_AS[kind]) from error
