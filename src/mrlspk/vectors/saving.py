"""Write vector files, whole or not at all."""

import json
import logging
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mrlspk.data.utterance_ids import name_fault
from mrlspk.errors import DataError, MissingDependencyError, UsageError, shorten
from mrlspk.files import whole_file
from mrlspk.vectors.kaldi_files import BINARY
from mrlspk.vectors.loading import FORMATS
from mrlspk.vectors.numpy_files import IDS_SUFFIX
from mrlspk.vectors.table import VectorTable, rows_per_block

log = logging.getLogger("mrlspk.vectors")


type Texts = Mapping[str, Sequence[str]]  # columns of texts, one for each row, by name


def save_vectors(table: VectorTable, path: Path, *, force: bool, texts: Texts | None = None) -> tuple[Path, ...]:
    """Write vectors in the format of the suffix, and return the files.

    ``.npy`` gets its ids in ``NAME.ids.txt``. ``.ark`` and ``.scp`` are written together; the scp names the ark by its
    path as given, which is relative to the working directory. The three hold no fingerprint of the model, no texts.

    Args:
        table: The vectors.
        path: File to write.
        force: Overwrite it.
        texts: Further columns, one text for each row: arrays of ``.npz``, keys of ``.jsonl``, columns of ``.parquet``.

    Raises:
        UsageError: If its suffix is none of ``FORMATS``.
        DataError: If the format cannot hold an id.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
        MrlspkError: If a file exists and ``force`` is false, or cannot be written.
    """
    suffix = check_suffix(path)
    if suffix in {".npy", ".ark", ".scp"}:
        _check_ids(table, path)
        if table.fingerprint:
            log.warning("%s: this format holds no fingerprint of the model", path)
        if texts:
            log.warning("%s: this format holds no %s", path, ", ".join(texts))
    companions = {".npy": (IDS_SUFFIX,), ".ark": (".scp",), ".scp": (".ark",)}.get(suffix, ())
    paths = (path, *(path.with_suffix(each) for each in companions))
    with ExitStack() as stack:
        partials = {each.suffix: stack.enter_context(whole_file(each, force=force)) for each in paths}
        if suffix in {".ark", ".scp"}:
            _write_kaldi(table, partials[".ark"], partials[".scp"], path.with_suffix(".ark"))
        elif suffix == ".npy":
            _write_npy(table, partials[".npy"], partials[".txt"])
        else:
            _WRITERS[suffix](table, texts or {}, partials[suffix])
    return paths


def check_suffix(path: Path) -> str:
    """Return the suffix of a file to write, in lower case.

    Raises:
        UsageError: If it is none of ``FORMATS``.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"expected a name that ends in {', '.join(FORMATS)}, got {path.name}", parameter="output")
    return suffix


def _check_ids(table: VectorTable, path: Path) -> None:
    if faulty := next((id_ for id_ in table.ids if not id_ or name_fault(id_)), None):
        what = f"this format cannot hold the id {shorten(faulty)!r}: {name_fault(faulty)}"
        raise DataError(what, path, "Write .npz, .parquet or .jsonl, or rename it.")
    if "" in table.ids:
        raise DataError("this format cannot hold an empty id", path, "Write .npz, .parquet or .jsonl.")


def _row_blocks(table: VectorTable) -> Iterator[slice]:
    step = rows_per_block(table.dim)
    return (slice(first, first + step) for first in range(0, len(table.ids), step))


def _known(table: VectorTable) -> dict[str, str | tuple[int, ...]]:
    """Return what is known of the model."""
    origin = {"fingerprint": table.fingerprint, "speech_detector": table.speech_detector, "dims": table.dims}
    return {name: value for name, value in origin.items() if value is not None}


def _write_npz(table: VectorTable, texts: Texts, path: Path) -> None:
    known = {name: np.array(value) for name, value in _known(table).items()}
    known |= {name: np.array(values, np.str_) for name, values in texts.items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, ids=np.array(table.ids, np.str_), embeddings=table.vectors, **known)


def _write_npy(table: VectorTable, path: Path, ids_path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, table.vectors)
    ids_path.write_text("".join(f"{id_}\n" for id_ in table.ids), encoding="utf-8")


def _write_kaldi(table: VectorTable, ark_path: Path, scp_path: Path, named: Path) -> None:
    """Write binary float vectors; the scp names the ark ``named``."""
    header = BINARY + b"FV " + struct.pack("<bi", 4, table.dim)
    with ark_path.open("wb") as ark, scp_path.open("w", encoding="utf-8") as scp:
        for rows in _row_blocks(table):
            for id_, row in zip(table.ids[rows], table.vectors[rows].astype("<f4", copy=False), strict=True):
                ark.write(id_.encode() + b" ")
                scp.write(f"{id_} {named}:{ark.tell()}\n")
                ark.write(header + row.tobytes())


def _write_jsonl(table: VectorTable, texts: Texts, path: Path) -> None:
    known = _known(table)
    with path.open("w", encoding="utf-8") as file:
        for number, (id_, row) in enumerate(zip(table.ids, table.vectors, strict=True)):
            line = {"id": id_, "dim": table.dim, "embedding": row.tolist(), **known}
            line |= {name: values[number] for name, values in texts.items()}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_parquet(table: VectorTable, texts: Texts, path: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("Parquet needs pyarrow", path, "Type: pip install pyarrow") from error
    known = {name: value if isinstance(value, str) else json.dumps(value) for name, value in _known(table).items()}
    vector = pyarrow.list_(pyarrow.float32(), table.dim)
    columns = {"id": table.ids, **texts}
    fields = [("embedding", vector), *((name, pyarrow.string()) for name in texts)]
    schema = pyarrow.schema([("id", pyarrow.string()), *fields], metadata=known)
    with path.open("wb") as file, parquet.ParquetWriter(file, schema, use_dictionary=False) as writer:
        for rows in _row_blocks(table):
            values = pyarrow.array(np.ascontiguousarray(table.vectors[rows]).reshape(-1))
            vectors = pyarrow.FixedSizeListArray.from_arrays(values, table.dim)
            ids, *others = (pyarrow.array(column[rows], pyarrow.string()) for column in columns.values())
            writer.write_batch(pyarrow.record_batch([ids, vectors, *others], schema=schema))


_WRITERS: dict[str, Callable[[VectorTable, Texts, Path], None]] = {
    ".npz": _write_npz,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
