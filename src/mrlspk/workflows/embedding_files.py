"""Write the embeddings of an `EmbedReport` as .npz, .jsonl or .parquet, a block of rows at a time."""

import importlib.util
import json
import logging
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from mrlspk.errors import MissingDependencyError, MrlspkError, UsageError
from mrlspk.files import Claim, claimed_file
from mrlspk.partial_files import write_errors
from mrlspk.workflows.embed import EmbedReport

FORMATS = (".npz", ".jsonl", ".parquet")
BLOCK = 4096  # rows

log = logging.getLogger("mrlspk.files")


@contextmanager
def claim_target(path: Path, *, force: bool, resume: bool = False) -> Iterator[Claim]:
    """Claim a file for `write_embeddings` before any work; ``resume`` takes up ``FILE.partial`` of an earlier run.

    Raises:
        UsageError: If its suffix is none of ``FORMATS``.
        MissingDependencyError: If Parquet is asked for and not installed.
        MrlspkError: If it exists and ``force`` is false, no such file can be made, or a run that was stopped has left
            ``FILE.partial`` and both ``force`` and ``resume`` are false.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"expected a name that ends in {', '.join(FORMATS)}, got {path.name}", parameter="output")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingDependencyError("Parquet needs pyarrow", path, "Type: pip install pyarrow")
    with claimed_file(path, force=force, take_up=True) as claim:
        if not resume:
            _begin_again(claim)
        yield claim


def _begin_again(claim: Claim) -> None:
    """Empty what a run that was stopped has left, if that is allowed."""
    if not claim.rows.stat().st_size:
        return
    with claim.rows.open("rb") as file:
        has_rows = len(list(islice(file, 2))) == 2  # the first line is a header
    if has_rows and not claim.force:
        claim.keep_rows()
        fix = "Give `resume` to take it up, or `force` to begin again."
        raise MrlspkError("holds embeddings of a run that was stopped", claim.rows, fix)
    if has_rows:
        log.warning("%s: left by a run that was stopped; begun again", claim.rows)
    with write_errors(claim.path):
        claim.rows.write_bytes(b"")


def write_embeddings(report: EmbedReport, claim: Claim) -> None:
    """Write ids, seconds, seconds of speech, warnings and vectors as .npz arrays, .jsonl lines or .parquet columns.

    The file also holds the fingerprint of the model and the version of the speech detector, so that its vectors are not
    mixed with those of another, and the widths of a Matryoshka model. Without a detector its version is empty, and the
    seconds of speech are NaN or null.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    writer = {".npz": _write_npz, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[claim.path.suffix]
    with claim.writing_from_rows() as whole:
        writer(report, whole)


def _write_npz(report: EmbedReport, path: Path) -> None:
    """Write the arrays that ``numpy.savez`` would, the vectors in blocks."""
    seconds, speech_seconds, warnings = list[float](), list[float](), list[str]()

    def vectors() -> Iterator[np.ndarray]:
        for block in batched(report.embeddings, BLOCK):
            for _, item in block:
                seconds.append(item.seconds)
                speech_seconds.append(np.nan if item.speech_seconds is None else item.speech_seconds)
                warnings.append(sys.intern(", ".join(item.warnings)))  # most are equal
            yield np.stack([item.vector for _, item in block])

    rows = report.embeddings
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        _add_array(archive, "embeddings", vectors(), (len(rows), report.dim), np.dtype(np.float32))
        _add_strings(archive, "ids", rows.ids)
        _add_strings(archive, "warnings", warnings)
        for name, values in (("seconds", seconds), ("speech_seconds", speech_seconds)):
            _add_array(archive, name, [np.array(values)], (len(rows),), np.dtype(np.float64))
        for name, text in (("fingerprint", report.fingerprint), ("speech_detector", report.speech_detector or "")):
            value = np.array(text)
            _add_array(archive, name, [value], (), value.dtype)
        if dims := _widths(report):
            _add_array(archive, "dims", [np.array(dims)], (len(dims),), np.dtype(np.int64))


def _widths(report: EmbedReport) -> tuple[int, ...]:
    """Return the widths to write; none of a model of one width, whose prefixes are nobody's choice."""
    return report.dims if len(report.dims) > 1 else ()


def _add_strings(archive: zipfile.ZipFile, name: str, values: Sequence[str]) -> None:
    dtype = np.dtype(f"<U{max(map(len, values), default=0) or 1}")
    blocks = (np.array(block, dtype) for block in batched(values, BLOCK))
    _add_array(archive, name, blocks, (len(values),), dtype)


def _add_array(
    archive: zipfile.ZipFile, name: str, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Add an array that comes in blocks of rows."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.astype(dtype, copy=False).tobytes())


def _write_jsonl(report: EmbedReport, path: Path) -> None:
    known: dict[str, object] = {"fingerprint": report.fingerprint, "speech_detector": report.speech_detector}
    known |= {"dims": dims} if (dims := _widths(report)) else {}
    with path.open("w", encoding="utf-8") as file:
        for row in embedding_rows(report):
            line = row | known
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_parquet(report: EmbedReport, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    told = {"fingerprint": report.fingerprint, "speech_detector": report.speech_detector or ""}
    told |= {"dims": json.dumps(dims)} if (dims := _widths(report)) else {}
    schema = pyarrow.schema(
        {
            "id": pyarrow.string(),
            "seconds": pyarrow.float64(),
            "speech_seconds": pyarrow.float64(),
            "warnings": pyarrow.list_(pyarrow.string()),
            "embedding": pyarrow.list_(pyarrow.float32(), report.dim),
        },
        metadata=told,
    )
    with path.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for block in batched(report.embeddings, BLOCK):
            columns = [
                [file_id for file_id, _ in block],
                [item.seconds for _, item in block],
                [item.speech_seconds for _, item in block],
                [list(item.warnings) for _, item in block],
                [item.vector for _, item in block],
            ]
            arrays = [pyarrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_table(pyarrow.table(arrays, schema=schema))


def embedding_rows(report: EmbedReport) -> Iterator[dict[str, object]]:
    """Yield one plain dict per embedding: id, seconds, speech_seconds, dim, embedding, warnings."""
    for file_id, item in report.embeddings:
        yield {
            "id": file_id,
            "seconds": item.seconds,
            "speech_seconds": item.speech_seconds,
            "dim": report.dim,
            "embedding": item.vector.tolist(),
            "warnings": list(item.warnings),
        }
