"""Search the voices of a snapshot, filtered or not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError
from mrlspk.index.funnel.arrays import FunnelArrays
from mrlspk.index.funnel.search import search
from mrlspk.index.results import Match
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.where import Condition

if TYPE_CHECKING:
    from mrlspk.index.funnel.search import Stage

type Engine = Literal["auto", "numpy", "faiss"]


@dataclass(frozen=True)
class SearchOptions:
    """How voices are searched.

    Attributes:
        k: How many to find.
        dim: Width that is compared; None for the full one.
        where: Only voices that this holds for.
        exact: Compare every voice at that width, without a shortlist.
        engine: What scans the shortlist.
    """

    k: int = 10
    dim: int | None = None
    where: Condition | None = None
    exact: bool = False
    engine: Engine = "auto"


@dataclass(frozen=True)
class FoundVoices:
    """The voices nearest to queries.

    Attributes:
        matches: Of each query, best first.
        n_voices: How many voices were searched.
        stages: What the search read.
    """

    matches: tuple[tuple[Match, ...], ...]
    n_voices: int
    stages: "tuple[Stage, ...]"


def check_width(settings: IndexSettings, dim: int | None) -> int:
    """Return the width to compare.

    Raises:
        UsageError: If the index has no decisions at it.
    """
    if dim is None:
        return settings.embed_dim
    if dim not in settings.dims:
        known = ", ".join(map(str, settings.dims))
        raise UsageError(f"the index has no width {dim}", fix=f"Its widths: {known}.", parameter="dim")
    return dim


def search_voices(snapshot: Snapshot, vectors: NDArray[np.float32], options: SearchOptions) -> FoundVoices:
    """Return the voices nearest to unit vectors (queries, embed_dim), each voice once.

    Raises:
        UsageError: If the index does not have the width, or ``k`` is none.
        MissingDependencyError: If faiss is asked for and not installed.
    """
    if options.k < 1:
        raise UsageError(f"expected 1 or more, got {options.k}", parameter="k")
    dim = check_width(snapshot.settings, options.dim)
    allowed, n_voices = _allowed(snapshot, options.where)
    if not n_voices or not len(vectors):
        return FoundVoices(((),) * len(vectors), n_voices, ())
    found = search(
        arrays_of(snapshot),
        vectors[:, : snapshot.settings.embed_dim],
        k=min(options.k, n_voices),
        dim=dim,
        allowed=allowed,
        voices_of=None if _have_one_profile(snapshot) else lambda slots: _voice_ids(snapshot, slots),
        exact=options.exact,
        engine=options.engine,
    )
    is_found = found.slots >= 0
    names = iter([key.name for key in snapshot.voices_of(found.slots[is_found])])
    matches = tuple(
        tuple(Match(next(names), float(score)) for score in scores[row])
        for scores, row in zip(found.scores, is_found, strict=True)
    )
    return FoundVoices(matches, n_voices, found.stages)


def arrays_of(snapshot: Snapshot) -> FunnelArrays:
    """Return the arrays that a search of a snapshot reads."""
    return FunnelArrays(
        snapshot.profiles, snapshot.shortlist, snapshot.settings.shortlist, snapshot.rotation, snapshot.removed
    )


def score_voice(snapshot: Snapshot, name: str, vector: NDArray[np.float32], dim: int) -> float:
    """Return the cosine of a unit vector (embed_dim,) with the nearest profile of a voice.

    Raises:
        UsageError: If there is no such voice.
    """
    allowed = np.zeros(snapshot.slots, np.bool_)
    allowed[snapshot.slots_of([snapshot.voice(name).id])] = True
    query = vector[None, : snapshot.settings.embed_dim]
    found = search(arrays_of(snapshot), query, k=1, dim=dim, allowed=allowed, voices_of=np.zeros_like)
    return float(found.scores[0, 0])


def _allowed(snapshot: Snapshot, where: Condition | None) -> tuple[NDArray[np.bool_] | None, int]:
    """Return which slots may be found, None for all, and of how many voices they are."""
    if where is None:
        return None, snapshot.n_voices
    slots = snapshot.slots_where(where)
    allowed = np.zeros(snapshot.slots, np.bool_)
    allowed[slots] = True
    one_each = _have_one_profile(snapshot)
    return allowed, len(slots) if one_each else len(np.unique(snapshot.voice_ids()[slots]))


def _have_one_profile(snapshot: Snapshot) -> bool:
    n_removed = 0 if snapshot.removed is None else int(np.count_nonzero(snapshot.removed))
    return snapshot.slots - n_removed == snapshot.n_voices


def _voice_ids(snapshot: Snapshot, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([key.id for key in snapshot.voices_of(slots)], np.int64)
