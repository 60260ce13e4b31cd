"""Make queries that stand for later recordings, and measure the recall of a search with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrlspk.index.funnel.arrays import FunnelArrays, Slots
from mrlspk.index.funnel.codes import Floats, unit_prefixes
from mrlspk.index.funnel.faiss_scan import Engine
from mrlspk.index.funnel.scoring import exact_cosines
from mrlspk.index.funnel.search import search

DEFAULT_COSINE = 0.7
_MIXED_VOICES = 8


@dataclass(frozen=True)
class LeftOut:
    """The voices that recordings belong to, each without its recording.

    Attributes:
        slots: Of each query, the slots of its voice: their vectors contain the recording.
        stand_ins: (queries, embed_dim) unit vectors of the voices without it, which take the place of the slots.
    """

    slots: Sequence[Slots]
    stand_ins: Floats


@dataclass(frozen=True)
class Probes:
    """Queries on which searches are compared.

    Attributes:
        queries: (queries, embed_dim).
        source: Recordings of enrolled voices, or noisy copies of their profiles.
        cosine: Of a noisy copy with its profile.
        left_out: Of recordings.
    """

    queries: Floats
    source: Literal["recordings", "noisy copies"]
    cosine: float | None = None
    left_out: LeftOut | None = None


def noisy_copies(arrays: FunnelArrays, *, count: int, cosine: float = DEFAULT_COSINE, seed: int = 0) -> Probes:
    """Return copies of random live profiles with noise that makes their cosine ``cosine``.

    The noise is a mix of other voices, so that it spreads over the values as voices do and is near to none.
    """
    live = arrays.live()
    slots = np.arange(arrays.slots) if live is None else np.flatnonzero(live)
    rng = np.random.default_rng(seed)
    profiles = arrays.profiles[np.sort(rng.choice(slots, min(count, slots.size), replace=False))].astype(np.float64)
    mixed = arrays.profiles[rng.choice(slots, (len(profiles), _MIXED_VOICES))].astype(np.float64)
    noise = (mixed * rng.choice([-1.0, 1.0], (len(profiles), _MIXED_VOICES, 1))).sum(axis=1)
    noise += 1e-3 * rng.standard_normal(noise.shape)  # the same voice may be mixed with itself alone
    noise = unit_prefixes(noise - profiles * (noise * profiles).sum(axis=1, keepdims=True), arrays.embed_dim)
    queries = cosine * profiles + np.sqrt(1 - cosine**2) * noise
    return Probes(queries.astype(np.float32), "noisy copies", cosine)


def measure_recall(arrays: FunnelArrays, probes: Probes, *, dim: int | None = None, engine: Engine = "auto") -> float:
    """Return the share of queries whose best slot is that of the exact search; NaN without queries."""
    if not len(probes.queries) or not arrays.slots:
        return float("nan")
    found = search(arrays, probes.queries, k=1, dim=dim, engine=engine)
    exact = search(arrays, probes.queries, k=1, dim=dim, exact=True)
    return float(np.mean(found.slots == exact.slots))


def best_vectors(arrays: FunnelArrays, probes: Probes) -> Floats:
    """Return the vector that the exact search finds for each query, its recording left out."""
    if probes.left_out is None:
        slots = search(arrays, probes.queries, k=1, exact=True).slots[:, 0]
        return np.asarray(arrays.profiles)[slots]
    left_out = probes.left_out
    found = search(arrays, probes.queries, k=1 + max(map(len, left_out.slots)), exact=True)
    units = unit_prefixes(probes.queries, arrays.embed_dim)
    best = left_out.stand_ins.copy()
    for row, own in enumerate(left_out.slots):
        others = np.flatnonzero(~np.isin(found.slots[row], own) & (found.slots[row] >= 0))[:1]
        if others.size and found.scores[row, others[0]] > exact_cosines(best[row : row + 1], units[row])[0]:
            best[row] = arrays.profiles[found.slots[row, others[0]]]
    return best
