"""Search, identify and verify recordings among the voices of an index."""

from mrlspk.config.base import ChannelChoice
from mrlspk.index.deciding import (
    FALSE_ACCEPT_RATE,
    MARGIN,
    DecisionOptions,
    Judge,
    raise_error,
    read_calibration,
)
from mrlspk.index.index_model import IndexModel
from mrlspk.index.kept_voices import KeptVoices
from mrlspk.index.queries import ManyQueries, Queries, Query, read_queries
from mrlspk.index.results import Identification, Match, SearchResult, Verification
from mrlspk.index.searching import Engine, SearchOptions, check_width, score_voice, search_voices
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.where import parse_filter


class SearchedVoices(KeptVoices):
    """The voices of an index, to search by recordings and vectors.

    Args:
        store: The index on disk.
        model: Embeds recordings; queries that are vectors need none.
    """

    def __init__(self, store: VoiceStore, model: IndexModel) -> None:
        super().__init__(store)
        self._model = model

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        dim: int | None = None,
        where: str | None = None,
        sample_rate: int | None = None,
        channel: ChannelChoice | None = None,
        exact: bool = False,
        engine: Engine = "auto",
    ) -> SearchResult:
        """Return the ``k`` voices nearest to a recording or vector.

        Args:
            query: A path; samples (samples,) with their ``sample_rate``; or a vector (embed_dim,) of the model.
            k: How many voices.
            dim: Width to compare; the full one by default.
            where: Only voices that this filter holds for, as of `voices`.
            sample_rate: Of samples, Hz. Without it an array is a vector.
            channel: Of this recording, as of `create`; None for that of the index.
            exact: Compare every voice, without a shortlist.
            engine: What scans the shortlist: ``faiss`` if it is installed, or ``numpy``.

        Raises:
            DataError: If the recording cannot be embedded.
            UsageError: If the index has no such width, or the filter cannot be parsed.
        """
        options = _options(k, dim, where, exact=exact, engine=engine)
        (found,) = self._search(self._read([query], sample_rate, channel), options)
        raise_error(found.error)
        return found

    def search_many(
        self,
        queries: ManyQueries,
        *,
        k: int = 10,
        dim: int | None = None,
        where: str | None = None,
        sample_rate: int | None = None,
        channel: ChannelChoice | None = None,
        exact: bool = False,
        engine: Engine = "auto",
    ) -> tuple[SearchResult, ...]:
        """Return the result of each query, searched in one batch; a recording that fails has its ``error``.

        Arguments and errors are those of `search`; ``queries`` may be an array (queries, embed_dim) of vectors.
        """
        options = _options(k, dim, where, exact=exact, engine=engine)
        return self._search(self._read(queries, sample_rate, channel), options)

    def identify(
        self,
        query: Query,
        *,
        k: int = 10,
        dim: int | None = None,
        where: str | None = None,
        false_accept_rate: float = FALSE_ACCEPT_RATE,
        margin: float = MARGIN,
        sample_rate: int | None = None,
        channel: ChannelChoice | None = None,
    ) -> Identification:
        """Return whose voice a recording is: accepted, unknown or ambiguous, by the calibration of the index.

        Args:
            query: As of `search`.
            k: How many candidates to return.
            dim: Width to compare; the full one by default.
            where: Only voices that this filter holds for.
            false_accept_rate: Share of recordings of nobody enrolled that the search may accept.
            margin: Nats by which the best voice has to lead the next; by default ln 10, ten times as likely.
            sample_rate: As of `search`.
            channel: As of `search`.

        Raises:
            DataError: If the recording cannot be embedded.
            UsageError: If the index has no such width or it is not calibrated, or the filter cannot be parsed.
        """
        found = self.identify_many(
            [query],
            k=k,
            dim=dim,
            where=where,
            false_accept_rate=false_accept_rate,
            margin=margin,
            sample_rate=sample_rate,
            channel=channel,
        )
        raise_error(found[0].error)
        return found[0]

    def identify_many(
        self,
        queries: ManyQueries,
        *,
        k: int = 10,
        dim: int | None = None,
        where: str | None = None,
        false_accept_rate: float = FALSE_ACCEPT_RATE,
        margin: float = MARGIN,
        sample_rate: int | None = None,
        channel: ChannelChoice | None = None,
    ) -> tuple[Identification, ...]:
        """Return who each query is; a recording that fails has its ``error``. Arguments are those of `identify`."""
        asked, options = self._read(queries, sample_rate, channel), _options(max(k, 2), dim, where)
        with self.store.reading() as snapshot:
            found = search_voices(snapshot, asked.vectors, options)
            width, calibration = check_width(snapshot.settings, dim), read_calibration(snapshot)
            n_enrolled = snapshot.n_voices
        judge = Judge(calibration, DecisionOptions(false_accept_rate, margin), width, found.n_voices, n_enrolled)
        return tuple(judge.identify(asked, place, matches, k=k) for place, matches in enumerate(found.matches))

    def verify(
        self,
        name: str,
        query: Query | Queries,
        *,
        dim: int | None = None,
        false_accept_rate: float = FALSE_ACCEPT_RATE,
        sample_rate: int | None = None,
        channel: ChannelChoice | None = None,
    ) -> Verification:
        """Return whether a recording is of one voice. Arguments and errors are those of `identify`.

        Raises:
            UsageError: Also if there is no such voice.
        """
        with self.store.reading() as snapshot:
            width, calibration = check_width(snapshot.settings, dim), read_calibration(snapshot)
            snapshot.voice(name)
        asked = self._read(query if isinstance(query, Queries) else [query], sample_rate, channel)
        raise_error(asked.errors[0])
        with self.store.reading() as snapshot:
            score = score_voice(snapshot, name, asked.vectors[0], width)
        judge = Judge(calibration, DecisionOptions(false_accept_rate, 0.0), width, 1)
        return judge.verify(asked, Match(name, score))

    def _read(self, queries: ManyQueries, sample_rate: int | None, channel: ChannelChoice | None) -> Queries:
        settings = self.settings
        return read_queries(queries, model=self._model, settings=settings, sample_rate=sample_rate, channel=channel)

    def _search(self, asked: Queries, options: SearchOptions) -> tuple[SearchResult, ...]:
        with self.store.reading() as snapshot:
            found = search_voices(snapshot, asked.vectors, options)
            width = check_width(snapshot.settings, options.dim)
        return tuple(
            SearchResult(query, () if error else matches, width, found.n_voices, found.stages, error)
            for query, matches, error in zip(asked.asked, found.matches, asked.errors, strict=True)
        )


def _options(
    k: int, dim: int | None, where: str | None, *, exact: bool = False, engine: Engine = "auto"
) -> SearchOptions:
    return SearchOptions(k, dim, None if where is None else parse_filter(where), exact, engine)
