"""Read and write manifest files in Parquet, which needs pyarrow."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from operator import attrgetter
from pathlib import Path
from typing import Any

from mrlspk.data.manifest_files.rows import COLUMNS, COUNTS, FIX, NUMBERS, REQUIRED, ManifestRow, row_of
from mrlspk.errors import DataError, MissingDependencyError, shorten
from mrlspk.reading import reading

MAGIC = b"PAR1"
ROWS_PER_GROUP = 1 << 13
NO_PYARROW = "Type: pip install pyarrow, or use a .jsonl file."


def recognises_parquet(path: Path) -> bool:
    """Return whether a file is Parquet with the columns of a manifest file.

    Raises:
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            return False
    with _opened(path) as opened:
        return set(REQUIRED) <= set(opened.schema_arrow.names)


def describe_parquet(path: Path) -> str:
    """Return in words what is in a file that is no manifest file.

    Raises:
        DataError: If it begins as Parquet and cannot be read.
        MissingDependencyError: If it does, and pyarrow is not installed.
    """
    with reading(path, DataError), path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start != MAGIC:
        return f"a file that begins with {start!r}, which is not Parquet"
    with _opened(path) as opened:
        return f"the columns {', '.join(map(repr, opened.schema_arrow.names))}"


def read_parquet_rows(path: Path) -> Iterator[ManifestRow]:
    """Yield the rows.

    Raises:
        DataError: If the file or a row cannot be read.
        MissingDependencyError: If pyarrow is not installed.
    """
    number = 0
    for batch in _batches(path, COLUMNS):
        for values in zip(*batch.values(), strict=True):
            number += 1
            yield row_of(dict(zip(batch, values, strict=True)), f"{path}: row {number}")


def read_parquet_columns(path: Path, names: Sequence[str], *, empty: Sequence[str] = ()) -> dict[str, list[Any]] | None:
    """Return whole columns of those that are in the file; None if a column of ``empty`` is not.

    Raises:
        DataError: If the file cannot be read.
        MissingDependencyError: If pyarrow is not installed.
    """
    with _opened(path) as file:
        present = [name for name in (*names, *empty) if name in file.schema_arrow.names]
        table = file.read(present)
        if any(table[name].null_count < len(table) for name in empty if name in present):
            return None
        return {name: _values(table[name]) for name in names if name in present}


def _values(column: Any) -> list[Any]:
    """Return the values of a column; NumPy, which has no empty ones, takes a fifth of the time."""
    values: list[Any] = column.to_pylist() if column.null_count else column.to_numpy().tolist()
    return values


def write_parquet_rows(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Write rows, a block at a time.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
    """
    pyarrow, parquet = _import_pyarrow(path)
    types = {
        "exact": pyarrow.bool_(),
        **dict.fromkeys(NUMBERS, pyarrow.float64()),
        **dict.fromkeys(COUNTS, pyarrow.int64()),
    }
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in COLUMNS])
    with path.open("wb") as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for some in batched(rows, ROWS_PER_GROUP):
            columns = [list(map(attrgetter(name), some)) for name in COLUMNS]
            writer.write_table(pyarrow.table(columns, schema=schema))


def _batches(path: Path, names: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    with _opened(path) as file:
        present = [name for name in names if name in file.schema_arrow.names]
        for batch in file.iter_batches(ROWS_PER_GROUP, columns=present):
            yield {name: batch.column(name).to_pylist() for name in present}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the open file; every error while it is read is a `DataError`."""
    pyarrow, parquet = _import_pyarrow(path)
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as Parquet: {shorten(str(error))}", path, FIX) from error


def _import_pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("Parquet needs pyarrow", path, NO_PYARROW) from error
    return pyarrow, parquet
