"""Check the array files of an index: sizes, checksums, unit lengths and codes."""

import sqlite3
import zlib
from collections.abc import Iterator

import numpy as np

from mrlspk.data.problems import Problem, error
from mrlspk.errors import MrlspkError
from mrlspk.index.funnel.codes import encode, row_blocks
from mrlspk.index.store.row_files import RowFile, Rows, is_unit_length
from mrlspk.index.store.state import State


def check_arrays(connection: sqlite3.Connection, state: State) -> Iterator[Problem]:
    """Yield the problems of all files."""
    arrays, layout, counts = {}, state.layout, state.counts
    for file, rows in (
        (layout.profiles, counts.slots),
        (layout.shortlist, counts.slots),
        (layout.recordings, counts.recording_rows),
    ):
        try:
            arrays[file] = file.map(rows)
        except MrlspkError as fault:
            yield error("file", _name(file), fault.what)
        except OSError as fault:
            yield error("file", _name(file), f"cannot be read: {fault.strerror}")
        else:
            yield from check_segments(connection, file, arrays[file])
    for file in (layout.profiles, layout.recordings):
        if file in arrays:
            yield from _check_lengths(file, arrays[file])
    if layout.profiles in arrays and layout.shortlist in arrays:
        yield from _check_codes(state, arrays[layout.profiles], arrays[layout.shortlist])


def check_segments(connection: sqlite3.Connection, file: RowFile, array: Rows) -> Iterator[Problem]:
    """Yield where a file is not what its appends wrote, by their checksums; together they wrote all rows."""
    query = "SELECT first_row, rows, crc32 FROM segments WHERE file = ? ORDER BY first_row"
    expected = 0
    for first, rows, crc32 in connection.execute(query, (file.path.name,)):
        if first != expected:
            yield error("checksum", _name(file), f"rows {expected:,} to {first - 1:,} have no checksum")
        if zlib.crc32(array[first : first + rows].reshape(-1).view(np.uint8)) != crc32:
            yield error("checksum", _name(file), f"rows {first:,} to {first + rows - 1:,} are not what was written")
        expected = first + rows
    if expected != len(array):
        yield error("checksum", _name(file), f"rows {expected:,} to {len(array) - 1:,} have no checksum")


def _check_lengths(file: RowFile, array: Rows) -> Iterator[Problem]:
    for block in row_blocks(len(array)):
        for row in np.flatnonzero(~is_unit_length(array[block])).tolist():
            yield error("length", _name(file), f"row {block.start + row:,} is not of unit length")


def _check_codes(state: State, profiles: Rows, codes: Rows) -> Iterator[Problem]:
    for block in row_blocks(len(profiles)):
        expected = encode(profiles[block], state.settings.shortlist, state.rotation)
        for row in np.flatnonzero((expected != codes[block]).any(axis=1)).tolist():
            what = f"row {block.start + row:,} is not the code of its profile"
            yield error("code", _name(state.layout.shortlist), what)


def _name(file: RowFile) -> str:
    return f"{file.path.parent.name}/{file.path.name}"
