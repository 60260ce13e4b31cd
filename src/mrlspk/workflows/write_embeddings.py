"""Embeddings to a file that other programs read."""

import importlib.util
import json
from pathlib import Path

import numpy as np

from mrlspk.errors import MissingDependencyError, UsageError
from mrlspk.files import check_free, whole_file
from mrlspk.workflows.embed import EmbedReport

FORMATS = (".npz", ".jsonl", ".parquet")


def check_target(path: Path, *, force: bool) -> None:
    """Refuse, before any work, a file that `write_embeddings` could not write.

    Raises:
        UsageError: If its ending is none of ``FORMATS``.
        MissingDependencyError: If Parquet is asked for and not installed.
        MrlspkError: If it exists and ``force`` is false, or no such file can be made.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"expected a name that ends in {', '.join(FORMATS)}, got {path.name}", "--output")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingDependencyError("Parquet needs pyarrow", path, "Type: pip install pyarrow")
    check_free(path, force=force)


def write_embeddings(report: EmbedReport, path: Path) -> None:
    """Write ids, lengths in seconds, warnings and vectors: .npz arrays, .jsonl lines, or .parquet columns.

    The .npz holds the model's fingerprint too, so that its vectors are not mixed with another's.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    writer = {".npz": _write_npz, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[path.suffix]
    with whole_file(path) as partial:
        writer(report, partial)


def _write_npz(report: EmbedReport, path: Path) -> None:
    vectors = [item.vector for item in report.embeddings]
    with path.open("wb") as file:
        np.savez(
            file,
            ids=np.array([item.id for item in report.embeddings], dtype=np.str_),
            seconds=np.array([item.seconds for item in report.embeddings]),
            embeddings=np.stack(vectors) if vectors else np.empty((0, report.dim), np.float32),
            fingerprint=np.array(report.fingerprint),
        )


def _write_jsonl(report: EmbedReport, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in embedding_rows(report):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_parquet(report: EmbedReport, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    vector = pyarrow.list_(pyarrow.float32(), report.dim)
    columns = {
        "id": pyarrow.array([item.id for item in report.embeddings], pyarrow.string()),
        "seconds": pyarrow.array([item.seconds for item in report.embeddings], pyarrow.float64()),
        "warnings": pyarrow.array([list(item.warnings) for item in report.embeddings], pyarrow.list_(pyarrow.string())),
        "embedding": pyarrow.array([item.vector for item in report.embeddings], vector),
    }
    parquet.write_table(pyarrow.table(columns), path)


def embedding_rows(report: EmbedReport) -> list[dict[str, object]]:
    """Return one plain dict an embedding: id, seconds, dim, embedding, warnings."""
    return [
        {
            "id": item.id,
            "seconds": item.seconds,
            "dim": report.dim,
            "embedding": item.vector.tolist(),
            "warnings": list(item.warnings),
        }
        for item in report.embeddings
    ]
