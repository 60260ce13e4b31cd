"""Search an index for recordings or for the vectors of a file, and explain the search."""

from dataclasses import dataclass

from mrlspk.config.base import ChannelChoice
from mrlspk.index.queries import ManyQueries
from mrlspk.index.results import SearchResult
from mrlspk.index.voice_index import VoiceIndex

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
        found: For each query.
        explained: None unless asked for.
    """

    found: tuple[SearchResult, ...]
    explained: Explained | None


def search_index(
    index: VoiceIndex,
    queries: ManyQueries,
    *,
    channel: ChannelChoice | None = None,
    k: int = 10,
    dim: int | None = None,
    where: str | None = None,
    exact: bool = False,
    explain: bool = False,
) -> IndexSearch:
    """Return the voices nearest to recordings, or to the vectors of a file.

    Args:
        index: The index.
        queries: Paths, or what `read_query_file` returned.
        channel: Of a recording; None for that of the index.
        k: Voices of each query.
        dim: Width to compare; None for the full one.
        where: Filter on names and metadata.
        exact: Compare every voice.
        explain: Measure the recall of such a search too.

    Raises:
        UsageError: If the index has no such width, or the filter cannot be parsed.
        MrlspkError: If the model cannot be loaded.
    """
    found = index.search_many(queries, channel=channel, k=k, dim=dim, where=where, exact=exact)
    return IndexSearch(found, _explain(index, dim) if explain else None)


def _explain(index: VoiceIndex, dim: int | None) -> Explained:
    from mrlspk.index.funnel.probes import measure_recall, noisy_copies
    from mrlspk.index.searching import arrays_of

    with index.store.reading() as snapshot:
        if not snapshot.n_voices:
            return Explained(None, 0)
        arrays = arrays_of(snapshot)
        probes = noisy_copies(arrays, count=SAMPLE)
        return Explained(measure_recall(arrays, probes, dim=dim), len(probes.queries))
