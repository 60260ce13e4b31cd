"""Write manifest files of every format, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from mrlspk.data.manifest_files.json_rows import record_of, write_records
from mrlspk.data.manifest_files.kaldi import write_kaldi
from mrlspk.data.manifest_files.nemo import write_nemo
from mrlspk.data.manifest_files.parquet_rows import write_parquet_rows
from mrlspk.data.manifest_files.rows import ManifestRow
from mrlspk.errors import UsageError

type Format = Literal["parquet", "jsonl", "nemo", "kaldi"]

FORMATS: tuple[Format, ...] = get_args(Format.__value__)
_SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".jsonl": "jsonl", ".json": "nemo", "": "kaldi"}


def format_of(path: Path) -> Format:
    """Return the format of a name: ``.parquet``, ``.jsonl``, ``.json`` (NeMo), or none (a Kaldi data directory).

    Raises:
        UsageError: If the suffix is another.
    """
    found = _SUFFIXES.get(path.suffix)
    if found is None:
        what = f"expected .parquet, .jsonl, .json (NeMo) or no suffix (Kaldi), got {path.suffix}"
        raise UsageError(what, path, "Rename it, or give `format`.")
    return found


def write_rows(path: Path, form: Format, rows: Iterator[ManifestRow]) -> None:
    """Write rows to a file, or for Kaldi into an empty folder.

    Raises:
        UsageError: If the format has no entry for a row.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    if form == "parquet":
        write_parquet_rows(path, rows)
    elif form == "jsonl":
        write_records(path, map(record_of, rows))
    elif form == "nemo":
        write_nemo(path, rows)
    else:
        write_kaldi(path, rows)
