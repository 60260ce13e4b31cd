"""Read the vectors of a file as queries."""

import logging
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np

from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError
from mrlspk.index.enrolment.mean_vectors import unit_vectors
from mrlspk.index.enrolment.vector_files import SAME_MODEL, check_origin
from mrlspk.index.queries import Queries
from mrlspk.index.results import Asked
from mrlspk.index.store.settings import IndexSettings
from mrlspk.vectors.checks import refuse_unusable
from mrlspk.vectors.loading import open_vectors, read_table
from mrlspk.vectors.table import VectorFile, VectorTable

log = logging.getLogger("mrlspk.index")


def read_query_file(
    settings: IndexSettings, path: str | PathLike[str], *, ids: str | PathLike[str] | None = None
) -> Queries:
    """Return the vectors of a file; if only it or only the index names a model, that is warned of.

    What a file of `mrlspk embed` says of its recordings, such as their seconds of speech, is kept for decisions.

    Args:
        settings: Of the index. Wider vectors are cut to its width.
        path: .npz, .npy, .ark, .scp, .parquet or .jsonl.
        ids: Of the rows of an .npy file. Without them, and without ``NAME.ids.txt``, rows are numbered from 0.

    Raises:
        DataError: If they are of another model or too narrow, or have no direction.
    """
    file = open_vectors(Path(path), ids=None if ids is None else Path(ids), number_rows=True)
    warn_of_origin(file, settings)
    table, dim = read_table(file), settings.embed_dim
    if table.dim < dim:
        raise DataError(f"expected {dim} values a vector, got {table.dim}", file.path, SAME_MODEL)
    cut = VectorTable(table.ids, table.vectors[:, :dim])
    refuse_unusable(cut, file.path)
    vectors = np.asarray(unit_vectors(cut.vectors), np.float32)
    return Queries(tuple(_asked(file, table.ids)), vectors, (None,) * len(table.ids))


def warn_of_origin(file: VectorFile, settings: IndexSettings) -> None:
    """Warn if only a file or only the index names a model.

    Raises:
        DataError: If the file says that its vectors are of another model, or of other speech.
    """
    warnings = check_origin(file, settings)
    for text in () if file.origin.fingerprint == settings.fingerprint else warnings:
        log.warning("%s", text)


def _asked(file: VectorFile, ids: tuple[str, ...]) -> Iterable[Asked]:
    if file.facts is None:
        return (Asked(printable(each)) for each in ids)
    facts = zip(ids, file.facts(), strict=True)
    return (Asked(printable(each), heard.seconds, heard.speech_seconds, heard.warnings) for each, heard in facts)
