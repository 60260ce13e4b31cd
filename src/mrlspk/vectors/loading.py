"""Load vector files of any toolkit."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError, shorten
from mrlspk.file_kinds import CHECKPOINT, recognise
from mrlspk.reading import reading
from mrlspk.vectors.jsonl_files import open_jsonl
from mrlspk.vectors.kaldi_files import BINARY, is_text_ark, open_ark, open_scp
from mrlspk.vectors.numpy_files import open_npy, open_npz
from mrlspk.vectors.parquet_files import open_parquet
from mrlspk.vectors.table import VectorFile, VectorTable

FORMATS = ".npz", ".npy", ".ark", ".scp", ".parquet", ".jsonl"
PICKLES = ".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib"  # a .pt of PyTorch is a zip of one
CONVERT_PICKLE = (
    "A pickle is a program that runs when it is loaded. Convert it where you trust it: docs/vectors.md has the lines."
)
BEGIN_BYTES = 512
_MARKS = {b"PK\3\4": ".npz", b"PK\5\6": ".npz", b"\x93NUMPY": ".npy", b"PAR1": ".parquet", b"{": ".jsonl"}


def load_vectors(path: Path, *, ids: Path | None = None) -> VectorTable:
    """Return all vectors of a file, with about one copy of .npz, .npy and Parquet in memory.

    Args:
        path: File of one of ``FORMATS``, recognised by its content or else its suffix.
        ids: Ids of the rows of an .npy file, one per line; None for ``NAME.ids.txt`` beside it.

    Raises:
        DataError: If it is not a vector file, is damaged, or its rows differ in width.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    return read_table(open_vectors(path, ids=ids))


def read_table(file: VectorFile) -> VectorTable:
    """Return all vectors of a file that is open, as `load_vectors` does.

    Raises:
        DataError: If it is damaged, or its rows differ in width.
    """
    path = file.path
    names: list[str] = []
    vectors: NDArray[np.float32] | None = None
    parts: list[NDArray[np.float32]] = []
    for block_ids, rows in file.blocks():
        if file.count is None:
            parts.append(rows)
        else:
            if vectors is None:
                vectors = np.empty((file.count, rows.shape[1]), np.float32)
            vectors[len(names) : len(names) + len(rows)] = rows
        names += block_ids
    if len(names) != (file.count or len(names)):
        raise DataError(f"expected {file.count} vectors, got {len(names)}", path)
    origin = file.origin
    whole = np.concatenate(parts) if vectors is None else vectors
    if origin.dims and origin.dims[-1] > whole.shape[1]:
        raise DataError(f"expected widths up to {whole.shape[1]} as dims, got {origin.dims[-1]}", path)
    return VectorTable(tuple(names), whole, origin.fingerprint, origin.speech_detector, origin.dims)


def open_vectors(path: Path, *, ids: Path | None = None, number_rows: bool = False) -> VectorFile:
    """Recognise a vector file and read what it says of itself, but not its vectors.

    Args:
        path: As of `load_vectors`.
        ids: As of `load_vectors`.
        number_rows: Number the rows of an .npy file from 0 if there are no ids.

    Raises:
        DataError: As of `load_vectors`.
        MissingDependencyError: As of `load_vectors`.
    """
    begin = _read_begin(path)
    kind = _format_of(path.suffix.lower(), begin)
    if kind is None:
        found = shorten(repr(begin[:20])[1:]) if begin else "an empty file"
        raise DataError(f"expected a vector file ({', '.join(FORMATS)}), got {found}", path)
    if kind == ".pkl":
        if (content := recognise(path)) and content.name == CHECKPOINT:
            fix = "If it is a model, give it as MODEL. Convert vectors where you trust the file: docs/vectors.md"
            raise DataError(
                f"expected a vector file ({', '.join(FORMATS)}), got {CHECKPOINT}", path, f"{fix} has the lines."
            )
        raise DataError(f"expected a vector file ({', '.join(FORMATS)}), got a pickle", path, CONVERT_PICKLE)
    if ids is not None and kind != ".npy":
        raise DataError("holds its own ids", path, "Leave `ids` out: it is for .npy files.", parameter="ids")
    if kind == ".npy":
        return open_npy(path, ids, number_rows=number_rows)
    opened = {".npz": open_npz, ".ark": open_ark, ".scp": open_scp, ".parquet": open_parquet, ".jsonl": open_jsonl}
    return opened[kind](path)


def _read_begin(path: Path) -> bytes:
    with reading(path, DataError, "Check the path."):
        if path.exists() and not path.is_file():
            raise DataError("expected a vector file, got a folder or a device", path, "Name a file.")
        with path.open("rb") as file:
            return file.read(BEGIN_BYTES)


def _format_of(suffix: str, begin: bytes) -> str | None:
    """Return the suffix of the format; ``.pkl`` for a pickle, None if it is none.

    The content decides where it can. An ark in text and an scp have no mark, and the ids of an ark may look like any.
    """
    if suffix in PICKLES or re.match(rb"\x80[\x02-\x05]", begin):
        return ".pkl"
    if suffix in {".ark", ".scp"}:
        return suffix
    if found := next((kind for mark, kind in _MARKS.items() if begin.lstrip().startswith(mark)), None):
        return found
    if b" " + BINARY in begin or is_text_ark(begin):
        return ".ark"
    return suffix if suffix in FORMATS else None
