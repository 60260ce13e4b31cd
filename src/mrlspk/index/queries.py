"""Turn queries, recordings or vectors, into unit vectors of an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrlspk.config.base import ChannelChoice
from mrlspk.errors import MrlspkError, UsageError
from mrlspk.index.enrolment.mean_vectors import unit_vectors
from mrlspk.index.index_model import IndexModel
from mrlspk.index.results import Asked
from mrlspk.index.store.settings import IndexSettings
from mrlspk.inference.recording import SILENT

if TYPE_CHECKING:
    from mrlspk.inference.embed_many import Audio

type Query = str | PathLike[str] | ArrayLike

SHORTEST = 1e-12


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries with their vectors.

    Attributes:
        asked: Of each.
        vectors: (queries, embed_dim) at unit length; zeros for a query with an error.
        errors: Why a query could not be embedded; None if it was.
    """

    asked: tuple[Asked, ...]
    vectors: NDArray[np.float32]
    errors: tuple[MrlspkError | None, ...]

    def has_speech(self, place: int) -> bool:
        """Return whether a query holds speech, as far as that is known."""
        asked = self.asked[place]
        return asked.speech_seconds != 0 and SILENT not in asked.warnings


type ManyQueries = Sequence[Query] | NDArray[np.floating] | Queries


def read_queries(
    queries: ManyQueries,
    *,
    model: IndexModel,
    settings: IndexSettings,
    sample_rate: int | None,
    channel: ChannelChoice | None = None,
) -> Queries:
    """Embed recordings, or take vectors.

    Args:
        queries: Paths; or arrays, which are samples if there is a ``sample_rate``, and else vectors of the model; or
            what `read_query_file` returned.
        model: Of the index.
        settings: Of the index. Wider vectors are cut to its width.
        sample_rate: Of arrays of samples, Hz.
        channel: Of a recording; None for that of the index.

    Raises:
        UsageError: If an array is no vector of the index, or there is no such channel.
        MrlspkError: If audio is to be embedded, and the model cannot be loaded.
    """
    if isinstance(queries, Queries):
        return queries
    is_audio = [sample_rate is not None or isinstance(each, str | PathLike) for each in queries]
    vectors = np.zeros((len(queries), settings.embed_dim), np.float32)
    asked: list[Asked] = [Asked()] * len(queries)
    errors: list[MrlspkError | None] = [None] * len(queries)
    audio: list[Audio] = [each for each, heard in zip(queries, is_audio, strict=True) if heard]
    found = iter(model.embed(audio, settings, sample_rate=sample_rate, channel=channel)) if audio else iter(())
    for place, heard in enumerate(is_audio):
        if not heard:
            vectors[place] = _unit(queries[place], settings.embed_dim)
            continue
        each = next(found)
        asked[place] = Asked(each.path, each.seconds, each.speech_seconds, each.warnings)
        errors[place] = each.error
        if each.embedding is not None:
            vectors[place] = each.embedding
    return Queries(tuple(asked), vectors, tuple(errors))


def _unit(query: Query, dim: int) -> NDArray[np.float32]:
    """Return a vector (values,) cut to ``dim`` values at unit length.

    Raises:
        UsageError: If it is none.
    """
    values: NDArray[np.generic] = np.asarray(query)
    if values.ndim != 1 or values.dtype.kind != "f" or len(values) < dim:
        what = f"expected a path, or a vector of {dim} floating-point values, got {values.dtype} of {values.shape}"
        raise UsageError(what, fix="Give `sample_rate` if it is audio.", parameter="query")
    cut = values[:dim].astype(np.float32)
    if not np.isfinite(cut).all() or np.linalg.norm(cut) < SHORTEST:
        raise UsageError("expected a vector with a direction, got zeros or values that are no numbers")
    return np.asarray(unit_vectors(cut[None])[0], np.float32)
