"""Write the embeddings of an `EmbedReport` as .npz, .jsonl or .parquet."""

import importlib.util
import json
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from mrlspk.errors import MissingDependencyError, UsageError
from mrlspk.files import Claim, claimed_file
from mrlspk.workflows.embed import EmbedReport

FORMATS = (".npz", ".jsonl", ".parquet")


def claim_target(path: Path, *, force: bool, resume: bool = False) -> AbstractContextManager[Claim]:
    """Claim a file for `write_embeddings` before any work; ``resume`` takes up ``FILE.partial`` of an earlier run.

    Raises:
        UsageError: If its suffix is none of ``FORMATS``.
        MissingDependencyError: If Parquet is asked for and not installed.
        MrlspkError: If it exists and ``force`` is false, or no such file can be made.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"expected a name that ends in {', '.join(FORMATS)}, got {path.name}", parameter="output")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingDependencyError("Parquet needs pyarrow", path, "Type: pip install pyarrow")
    return claimed_file(path, force=force, take_up=resume)


def write_embeddings(report: EmbedReport, claim: Claim) -> None:
    """Write ids, seconds, seconds of speech, warnings and vectors as .npz arrays, .jsonl lines or .parquet columns.

    The file also holds the fingerprint of the model and the version of the speech detector, so that its vectors are not
    mixed with those of another. Without a detector its version is empty, and the seconds of speech are NaN or null.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    writer = {".npz": _write_npz, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[claim.path.suffix]
    with claim.writing_from_rows() as whole:
        writer(report, whole)


def _write_npz(report: EmbedReport, path: Path) -> None:
    vectors = [item.vector for item in report.embeddings.values()]
    with path.open("wb") as file:
        np.savez(
            file,
            ids=np.array(list(report.embeddings), dtype=np.str_),
            seconds=np.array([item.seconds for item in report.embeddings.values()]),
            speech_seconds=np.array([item.speech_seconds for item in report.embeddings.values()], np.float64),
            warnings=np.array([", ".join(item.warnings) for item in report.embeddings.values()], dtype=np.str_),
            embeddings=np.stack(vectors) if vectors else np.empty((0, report.dim), np.float32),
            fingerprint=np.array(report.fingerprint),
            speech_detector=np.array(report.speech_detector or ""),
        )


def _write_jsonl(report: EmbedReport, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in embedding_rows(report):
            line = row | {"fingerprint": report.fingerprint, "speech_detector": report.speech_detector}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_parquet(report: EmbedReport, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    items, vector = report.embeddings.values(), pyarrow.list_(pyarrow.float32(), report.dim)
    columns = {
        "id": pyarrow.array(list(report.embeddings), pyarrow.string()),
        "seconds": pyarrow.array([item.seconds for item in items], pyarrow.float64()),
        "speech_seconds": pyarrow.array([item.speech_seconds for item in items], pyarrow.float64()),
        "warnings": pyarrow.array([list(item.warnings) for item in items], pyarrow.list_(pyarrow.string())),
        "embedding": pyarrow.array([item.vector for item in items], vector),
    }
    origin = {"fingerprint": report.fingerprint, "speech_detector": report.speech_detector or ""}
    with path.open("wb") as file:  # given a path, pyarrow leaves the file open when the disk is full
        parquet.write_table(pyarrow.table(columns, metadata=origin), file)


def embedding_rows(report: EmbedReport) -> list[dict[str, object]]:
    """Return one plain dict per embedding: id, seconds, speech_seconds, dim, embedding, warnings."""
    return [
        {
            "id": file_id,
            "seconds": item.seconds,
            "speech_seconds": item.speech_seconds,
            "dim": report.dim,
            "embedding": item.vector.tolist(),
            "warnings": list(item.warnings),
        }
        for file_id, item in report.embeddings.items()
    ]
