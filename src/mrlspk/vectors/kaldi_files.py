"""Read Kaldi's ark and scp files of vectors.

The parser is our own: kaldiio unpickles the pickles that an ark may hold, and runs the commands that an scp may name.
"""

import mmap
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, shorten
from mrlspk.reading import LARGEST_LIST, is_file, read_text, reading
from mrlspk.vectors.table import Row, VectorFile, gather_blocks

BINARY = b"\0B"
LONGEST_ID = 4096
OPEN_ARKS = 64
_DTYPES: dict[bytes, np.dtype[np.floating]] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
_KINDS = {
    b"PKL": "a pickle, which is not loaded",
    b"NPY": "a NumPy array of kaldiio",
    b"AUDIO": "audio",
    b"RIFF": "audio",
    b"fLaC": "audio",
    BINARY + b"\4": "integers",
    BINARY + b"CM": "a compressed matrix",
}
SAVE = 'Write it with `kaldiio.save_ark("FILE.ark", {id: vector})` or `copy-vector`: one float vector per id.'


def open_ark(path: Path) -> VectorFile:
    """Open an ark, binary or text, of float or double vectors, or of matrices with one row."""
    return VectorFile(path, lambda: gather_blocks(_ark_rows(path), path))


def open_scp(path: Path) -> VectorFile:
    """Open an scp of the lines ``<id> <ark>:<offset>``; as in Kaldi, paths are relative to the working directory.

    Raises:
        DataError: If a line is not of this form, runs a command, or names no file.
    """
    fix = "Write lines '<id> <ark>:<offset>', as `copy-vector` and `kaldiio.save_ark(..., scp=FILE)` do."
    lines = read_text(path, DataError, fix, most_bytes=LARGEST_LIST).split("\n")
    entries = [(f"{path}:{number}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    places = [(where, *_parse_entry(line, where, fix)) for where, line in entries]
    for ark, where in {ark: where for where, _, ark, _ in reversed(places)}.items():
        _check_ark(ark, where, path)
    return VectorFile(path, lambda: gather_blocks(_scp_rows(places), path), len(places))


def is_text_ark(begin: bytes) -> bool:
    """Return whether a file begins like an ark in text: an id and a bracket."""
    return begin.split(maxsplit=2)[1:2] == [b"["]


def _ark_rows(path: Path) -> Iterator[Row]:
    content, position = _map(path), 0
    while position < len(content):
        end = content.find(b" ", position, position + LONGEST_ID)
        where = f"{path}, byte {position}"
        if end == -1:
            if not content[position : position + LONGEST_ID].strip():
                return
            raise DataError(f"expected '<id> <vector>', got {_shown(content[position : position + 20])}", where, SAVE)
        try:
            name = content[position:end].decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(f"expected an id, got {_shown(content[position:end])}", where, SAVE) from error
        where = f"{path}, {shorten(name)}"
        vector, position = _read_entry(content, end + 1, where)
        yield name, where, vector


def _scp_rows(places: list[tuple[str, str, Path, int]]) -> Iterator[Row]:
    contents = lru_cache(OPEN_ARKS)(_map)
    for where, name, ark, offset in places:
        content = contents(ark)
        if offset >= len(content):
            raise DataError(f"expected a vector at byte {offset} of {ark}, got a file of {len(content)} bytes", where)
        yield name, where, _read_entry(content, offset, f"{where}, {ark}, byte {offset}")[0]


def _parse_entry(line: str, where: str, fix: str) -> tuple[str, Path, int]:
    """Return id, ark and offset of a line of an scp."""
    name, _, place = line.replace("\t", " ").partition(" ")
    place = place.strip()
    if not place:
        raise DataError(f"expected '<id> <ark>:<offset>', got {shorten(line)!r}", where, fix)
    if place.startswith("|") or place.endswith("|"):
        write_out = "Run the command yourself, and write what it prints to an ark."
        raise DataError(f"expected a file, got a command, which is not run: {shorten(place)!r}", where, write_out)
    if place.endswith("]"):
        raise DataError(f"expected a whole vector, got a range: {shorten(place)!r}", where, "Cut the vectors yourself.")
    ark, colon, offset = place.rpartition(":")
    return (name, Path(ark), int(offset)) if colon and offset.isdecimal() else (name, Path(place), 0)


def _check_ark(ark: Path, where: str, scp: Path) -> None:
    if is_file(ark, DataError):
        return
    beside = "" if ark.is_absolute() or not is_file(scp.parent / ark, DataError) else f"; {scp.parent / ark} exists"
    fix = "Paths in an scp are relative to the working directory: change to that of the command that wrote it."
    raise DataError(f"expected an ark, got no such file: {ark}{beside}", where, fix)


def _map(path: Path) -> mmap.mmap:
    with reading(path, DataError), path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file
            raise DataError("expected vectors, got an empty file", path, SAVE) from error


def _read_entry(content: mmap.mmap, position: int, where: str) -> tuple[NDArray[np.generic], int]:
    """Return the vector at a position, and the position after it."""
    begin = content[position : position + 5]
    for kind, found in _KINDS.items():
        if begin.startswith(kind):
            raise DataError(f"expected a vector of floats, got {found}", where, SAVE)
    return (_read_binary if begin.startswith(BINARY) else _read_text)(content, position, where)


def _read_binary(content: mmap.mmap, position: int, where: str) -> tuple[NDArray[np.generic], int]:
    kind = content[position + 2 : position + 5]
    dtype, shape = _DTYPES.get(kind[:1]), kind[1:]
    if dtype is None or shape not in {b"V ", b"M "}:
        raise DataError(f"expected the header FV, DV, FM or DM, got {_shown(kind)}", where, SAVE)
    sizes = content[position + 5 : position + (10 if shape == b"V " else 15)]
    if len(sizes) not in {5, 10} or sizes[::5].strip(b"\4"):
        raise DataError(f"expected the size of a vector, got {_shown(sizes)}", where, SAVE)
    *rows, n_values = struct.unpack("<" + "xi" * (len(sizes) // 5), sizes)
    if rows not in ([], [1]) or n_values < 0:
        raise DataError(
            f"expected one vector per id, got a matrix of {rows[0] if rows else n_values} rows", where, SAVE
        )
    first = position + 5 + len(sizes)
    end = first + n_values * dtype.itemsize
    if end > len(content):
        what = f"expected {n_values} values, {end - first} bytes, got {len(content) - first}"
        raise DataError(what, where, "The file was cut short: write or copy it again.")
    return np.frombuffer(content[first:end], dtype), end


def _read_text(content: mmap.mmap, position: int, where: str) -> tuple[NDArray[np.generic], int]:
    end = content.find(b"]", position)
    text = content[position : end if end != -1 else position + 40]
    if not text.strip().startswith(b"["):
        raise DataError(f"expected a vector, got {_shown(text[:40])}", where, SAVE)
    if end == -1:
        raise DataError("expected a vector in brackets, got no closing one", where, "The file was cut short.")
    rows = [line.split() for line in text.strip()[1:].split(b"\n") if line.strip()]
    if len(rows) > 1:
        raise DataError(f"expected one vector per id, got a matrix of {len(rows)} rows", where, SAVE)
    try:
        values = np.array(rows[0] if rows else [], dtype=np.bytes_).astype(np.float64)
    except ValueError as error:
        raise DataError(f"expected numbers, got something else ({error})", where, SAVE) from error
    return values, end + 1


def _shown(content: bytes) -> str:
    return shorten(repr(content)[1:], 60)
