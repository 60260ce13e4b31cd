"""Search an index for recordings or for the vectors of a file, and explain the search."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DataError
from mrlspk.index.enrolment.vector_files import SAME_MODEL, check_origin
from mrlspk.index.results import SearchResult
from mrlspk.index.voice_index import VoiceIndex
from mrlspk.vectors.checks import refuse_unusable
from mrlspk.vectors.loading import load_vectors, open_vectors
from mrlspk.vectors.table import VectorTable

log = logging.getLogger("mrlspk.index")

SAMPLE = 200  # voices whose noisy copies are searched


@dataclass(frozen=True)
class Explained:
    """How well a search finds what an exact one finds.

    Attributes:
        recall: Share of the queries whose best voice is that of the exact search; None for an empty index.
        queries: Noisy copies of voices of the index.
    """

    recall: float | None
    queries: int


@dataclass(frozen=True)
class IndexSearch:
    """The voices nearest to queries.

    Attributes:
        sources: Path of each recording, or id of each vector.
        found: For each query.
        explained: None unless asked for.
    """

    sources: tuple[str, ...]
    found: tuple[SearchResult, ...]
    explained: Explained | None


def search_index(
    index: VoiceIndex,
    audio: Sequence[str] = (),
    *,
    vectors: Path | None = None,
    ids: Path | None = None,
    k: int = 10,
    dim: int | None = None,
    where: str | None = None,
    exact: bool = False,
    explain: bool = False,
) -> IndexSearch:
    """Return the voices nearest to recordings, or to the vectors of a file.

    Args:
        index: The index.
        audio: Paths.
        vectors: In place of them.
        ids: Of the rows of an .npy file.
        k: Voices of each query.
        dim: Width to compare; None for the full one.
        where: Filter on names and metadata.
        exact: Compare every voice.
        explain: Measure the recall of such a search too.

    Raises:
        DataError: If no file of ``audio`` exists, or the vectors are of another model.
        UsageError: If the index has no such width, or the filter cannot be parsed.
        MrlspkError: If the model cannot be loaded.
    """
    if vectors is None:
        from mrlspk.workflows.embed_inputs import refuse_missing

        refuse_missing(audio)
        found = index.search_many(audio, k=k, dim=dim, where=where, exact=exact)
        sources = tuple(audio)
    else:
        table = _read(index, vectors, ids)
        found = index.search_many(table.vectors, k=k, dim=dim, where=where, exact=exact)
        sources = table.ids
    return IndexSearch(sources, found, _explain(index, dim) if explain else None)


def _read(index: VoiceIndex, path: Path, ids: Path | None) -> VectorTable:
    """Return the vectors of a file; if only it or only the index names a model, that is warned of.

    Raises:
        DataError: If they are of another model, or have no direction.
    """
    settings = index.settings
    file = open_vectors(path, ids=ids)
    warnings = check_origin(file, settings)
    for text in () if file.origin.fingerprint == settings.fingerprint else warnings:
        log.warning("%s", text)
    table = load_vectors(path, ids=ids)
    if table.dim < settings.embed_dim:
        raise DataError(f"expected {settings.embed_dim} values a vector, got {table.dim}", path, SAME_MODEL)
    refuse_unusable(table, path)
    return table


def _explain(index: VoiceIndex, dim: int | None) -> Explained:
    from mrlspk.index.funnel.probes import measure_recall, noisy_copies
    from mrlspk.index.searching import arrays_of

    with index.store.reading() as snapshot:
        if not snapshot.n_voices:
            return Explained(None, 0)
        arrays = arrays_of(snapshot)
        probes = noisy_copies(arrays, count=SAMPLE)
        return Explained(measure_recall(arrays, probes, dim=dim), len(probes.queries))
