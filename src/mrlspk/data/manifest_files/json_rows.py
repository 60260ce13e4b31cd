"""Read and write files of one JSON object per line."""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from mrlspk.data.manifest_files.rows import COLUMNS, ManifestRow
from mrlspk.errors import DataError, shorten
from mrlspk.reading import as_text, load_json, reading

GZIP = b"\x1f\x8b"
LONGEST_LINE = 1 << 20  # bytes
FIX = "Write one JSON object per line, as UTF-8."

type Record = tuple[str, dict[str, Any]]  # file and line; the object


def read_records(path: Path) -> Iterator[Record]:
    """Yield the objects of a file, compressed or not, with their lines.

    Raises:
        DataError: If it cannot be read, or a line is no JSON object.
    """
    number = 0
    with reading(path, DataError, "Check the path."), closing(_open(path)) as file:
        try:
            while line := file.readline(LONGEST_LINE):
                number += 1
                where = f"{path}:{number}"
                if len(line) == LONGEST_LINE:
                    raise DataError(f"expected lines below {LONGEST_LINE:,} bytes", where, FIX)
                if line.strip():
                    yield where, _object(line, where)
        except (EOFError, gzip.BadGzipFile) as error:
            raise DataError(f"cannot be decompressed: {error}", path, "Copy or download the file again.") from error


def first_record(path: Path) -> dict[str, Any]:
    """Return the first object of a file; an empty one if its first line holds none, or it cannot be read."""
    try:
        return next((record for _, record in read_records(path)), {})
    except DataError:
        return {}


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_compressed = file.read(2) == GZIP
    return cast(BinaryIO, gzip.open(path)) if is_compressed else path.open("rb")


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = load_json(as_text(line, where, DataError, FIX))
    except ValueError as error:
        raise DataError(f"expected a JSON object, got {_shown(line)}", where, FIX) from error
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object, got {_shown(line)}", where, FIX)
    return value


def _shown(line: bytes) -> str:
    return repr(shorten(line.decode(errors="backslashreplace").strip()))


def write_records(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one object per line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def record_of(row: ManifestRow) -> dict[str, Any]:
    """Return a row as an object without what is not known."""
    return {name: value for name in COLUMNS if (value := getattr(row, name)) is not None}
