"""Read Parquet files of vectors batch by batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, MissingDependencyError, shorten
from mrlspk.vectors.table import Block, Origin, RecordingFacts, VectorFile, as_float32, read_widths, rows_per_block

if TYPE_CHECKING:
    import pyarrow

ID_COLUMNS = "id", "utterance_id"
VECTOR_COLUMNS = "embedding", "vector"
FACTS = "seconds", "speech_seconds", "warnings"
ROWS_OF_LISTS = 4096  # read at a time, where only reading tells their width
SAVE = "Write the columns id (string) and embedding (list of floats), as `mrlspk embed -o FILE.parquet` does."


def open_parquet(path: Path) -> VectorFile:
    """Open a Parquet file with the columns ``id`` or ``utterance_id``, and ``embedding`` or ``vector``.

    Raises:
        DataError: If it is not such a file.
        MissingDependencyError: If pyarrow is not installed.
    """
    with _opened(path) as file:
        schema, count = file.schema_arrow, file.metadata.num_rows
    columns = [_column(schema, names, path) for names in (ID_COLUMNS, VECTOR_COLUMNS)]
    _check_types(schema, columns, path)
    told = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (schema.metadata or {}).items()
        if key != b"ARROW:schema"
    }
    dims = read_widths(told["dims"], path) if told.get("dims", "").startswith("[") else None
    origin = Origin(told.get("fingerprint") or None, told.get("speech_detector"), dims)
    if not count:
        raise DataError("expected vectors, got an empty file", path, SAVE)
    facts = (lambda: _facts(path)) if set(schema.names) >= set(FACTS) else None
    return VectorFile(path, lambda: _blocks(path, columns), count, origin, facts)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the open file; every error while it is read is a `DataError`."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingDependencyError("Parquet needs pyarrow", path, "Type: pip install pyarrow") from error
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except (ArrowException, OSError, ValueError) as error:  # also names that are not UTF-8
        raise DataError(f"cannot be read as Parquet: {shorten(str(error))}", path, SAVE) from error


def _column(schema: "pyarrow.Schema", names: tuple[str, ...], path: Path) -> str:
    if name := next((name for name in names if name in schema.names), None):
        return name
    found = shorten(", ".join(schema.names))
    raise DataError(f"expected a column {' or '.join(names)}, got {found or 'none'}", path, SAVE)


def _check_types(schema: "pyarrow.Schema", columns: list[str], path: Path) -> None:
    from pyarrow import types

    ids, vectors = (schema.field(name).type for name in columns)
    if not (types.is_string(ids) or types.is_large_string(ids)):
        raise DataError(f"expected strings in the column {columns[0]}, got {ids}", path, SAVE)
    is_list = types.is_list(vectors) or types.is_large_list(vectors) or types.is_fixed_size_list(vectors)
    if not (is_list and types.is_floating(vectors.value_type)):
        raise DataError(f"expected lists of floats in the column {columns[1]}, got {vectors}", path, SAVE)


def _blocks(path: Path, columns: list[str]) -> Iterator[Block]:
    from pyarrow import types

    with _opened(path) as file:
        kind = file.schema_arrow.field(columns[1]).type
        dim = kind.list_size if types.is_fixed_size_list(kind) else None
        rows, done = rows_per_block(dim) if dim else ROWS_OF_LISTS, 0
        for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
            ids, vectors = (batch.column(name) for name in columns)
            block = _matrix(vectors, dim, done, path)
            dim = block.shape[1]
            if ids.null_count:
                raise DataError(f"expected an id in every row, got none in row {done + _first_null(ids)}", path, SAVE)
            yield tuple(ids.to_pylist()), block
            done += len(block)


def _facts(path: Path) -> Iterator[RecordingFacts]:
    with _opened(path) as file:
        for batch in file.iter_batches(columns=list(FACTS), use_threads=False):
            for seconds, speech, warnings in zip(*(batch.column(name).to_pylist() for name in FACTS), strict=True):
                if not (isinstance(seconds, float) and isinstance(warnings, list)):
                    raise DataError("expected numbers as seconds and lists of texts as warnings", path, SAVE)
                yield RecordingFacts(seconds, speech, tuple(warnings))


def _matrix(vectors: "pyarrow.Array", dim: int | None, done: int, path: Path) -> NDArray[np.float32]:
    """Return lists of one width as a matrix; ``done`` rows of the file were read before."""
    if vectors.null_count:
        raise DataError(f"expected a vector in every row, got none in row {done + _first_null(vectors)}", path, SAVE)
    lengths = vectors.value_lengths().to_numpy(zero_copy_only=False)
    dim = dim or int(lengths[0])
    if (lengths != dim).any() or not dim:
        row = int(np.argmax(lengths != dim))
        raise DataError(f"expected {dim or 'some'} values, got {lengths[row]} in row {done + row}", path, SAVE)
    values = vectors.flatten()
    if values.null_count:
        row = done + _first_null(values) // dim
        raise DataError(f"expected a number, got none in row {row}", path, SAVE)
    return as_float32(values.to_numpy(zero_copy_only=False).reshape(-1, dim))


def _first_null(array: "pyarrow.Array") -> int:
    return int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
