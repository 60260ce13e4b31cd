"""Find the voices nearest to queries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.funnel.arrays import FunnelArrays, Mask, Slots, VoicesOf
from mrlspk.index.funnel.codes import Floats, encode_queries, row_blocks, unit_prefixes
from mrlspk.index.funnel.faiss_scan import Engine, scan_with_faiss, takes_faiss
from mrlspk.index.funnel.nearest import NearestRows
from mrlspk.index.funnel.numpy_scan import bit_distances, code_distances, prefix_distances, scan
from mrlspk.index.funnel.scoring import Ranking, Scores, rounding_slack
from mrlspk.index.shortlist import ShortlistType

_QUERIES_AT_ONCE = 128
_CANDIDATES_PER_RESULT = 4
_FEWEST_LISTED = 8


@dataclass(frozen=True)
class Stage:
    """What one stage of a search did, summed over its queries.

    Attributes:
        type: The type of the values that were read.
        dim: How many values of a row were compared.
        candidates: Rows compared.
        bytes: Bytes read of the arrays; a block that several queries share counts once.
        seconds: Wall time.
    """

    type: ShortlistType
    dim: int
    candidates: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Found:
    """The voices found, best first.

    Attributes:
        slots: (queries, k); the best slot of each voice, -1 where there are fewer voices than k.
        scores: (queries, k); cosines at the decision width, NaN where there is no voice.
        stages: One per stage, in order.
    """

    slots: Slots
    scores: Scores
    stages: tuple[Stage, ...]


def search(
    arrays: FunnelArrays,
    queries: NDArray[np.floating],
    *,
    k: int,
    dim: int | None = None,
    allowed: Mask | None = None,
    voices_of: VoicesOf | None = None,
    exact: bool = False,
    engine: Engine = "auto",
) -> Found:
    """Return the ``k`` voices nearest to each query; the same for a query alone, in a batch and with any engine.

    The codes give a shortlist, and cosines of ``dim`` values decide. All live slots are compared if they are no more
    than the candidates, and at widths that the codes do not cover.

    Args:
        arrays: The profiles and their codes.
        queries: Vectors of (queries, embed_dim), of any length.
        k: How many voices.
        dim: The decision width; the stored width by default.
        allowed: True for slots that may be found, (slots,); all by default.
        voices_of: The voices that slots belong to; each slot is a voice of its own by default.
        exact: Compare all live slots.
        engine: What scans the codes; see ``takes_faiss``.
    """
    width = arrays.embed_dim if dim is None else dim
    if queries.ndim != 2 or queries.shape[1] != arrays.embed_dim or not 0 < width <= arrays.embed_dim:
        raise ValueError(f"expected queries of {arrays.embed_dim} values, decided at {width}; got {queries.shape}")
    run = _Search(arrays, width, k, arrays.live(allowed), voices_of, engine)
    slots = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), np.nan)
    for rows in row_blocks(len(queries), _QUERIES_AT_ONCE):
        for row, (found, cosines) in enumerate(run.search(queries[rows], exact=exact), rows.start):
            slots[row, : found.size], scores[row, : found.size] = found, cosines
    return Found(slots, scores, tuple(run.stages.values()))


class _Search:
    """One search: what it may find, and the record of its stages."""

    def __init__(
        self, arrays: FunnelArrays, dim: int, k: int, live: Mask | None, voices_of: VoicesOf | None, engine: Engine
    ) -> None:
        self._arrays, self._dim, self._k, self._live = arrays, dim, k, live
        self._engine = engine
        self._profiles: Floats = np.asarray(arrays.profiles)[:, :dim]
        self._ranking = Ranking(self._profiles, dim < arrays.embed_dim, k, voices_of)
        self._n_live = arrays.slots if live is None else int(np.count_nonzero(live))
        self._candidates = max(arrays.spec.candidates, _CANDIDATES_PER_RESULT * k)
        self._slots_per_scan = k if voices_of is None else 2 * k
        self.stages: dict[tuple[ShortlistType, int], Stage] = {}

    def search(self, queries: NDArray[np.floating], *, exact: bool) -> list[tuple[Slots, Scores]]:
        units = unit_prefixes(queries, self._dim)
        if self._n_live <= self._candidates:
            return self._compare_all(units)
        if exact or not self._arrays.can_shortlist(self._dim):
            return [
                self._best_of_all(*pair) for pair in zip(units, self._scan(units, self._slots_per_scan), strict=True)
            ]
        return [self._best_listed(*pair) for pair in zip(units, self._shortlist(queries), strict=True)]

    def _compare_all(self, units: Scores) -> list[tuple[Slots, Scores]]:
        slots = np.arange(self._arrays.slots) if self._live is None else np.flatnonzero(self._live)
        with self._stage("float32", self._dim, slots.size * len(units), slots.size * self._dim * 4):
            return [self._ranking.best(slots, unit) for unit in units]

    def _shortlist(self, queries: NDArray[np.floating]) -> list[Slots]:
        arrays = self._arrays
        assert arrays.codes is not None
        hidden = arrays.slots - self._n_live
        with self._stage(arrays.spec.type, arrays.spec.dim, self._n_live * len(queries), arrays.codes.nbytes):
            codes = encode_queries(queries, arrays.spec, arrays.rotation)
            if takes_faiss(self._engine, arrays, len(queries), hidden):
                return scan_with_faiss(arrays, codes, self._candidates, self._live)
            is_bits = arrays.spec.type == "bits"
            nearest = [NearestRows(self._candidates, arrays.spec.dim + 1 if is_bits else np.inf) for _ in codes]
            scan(arrays.codes, (bit_distances if is_bits else code_distances)(codes), nearest, self._live)
            return [rows.rows() for rows in nearest]

    def _best_listed(self, unit: Scores, slots: Slots) -> tuple[Slots, Scores]:
        if slots.size >= self._candidates // _FEWEST_LISTED:  # else too many tied at the last place
            with self._stage("float32", self._dim, slots.size, slots.size * self._dim * 4):
                found, scores = self._ranking.best(slots, unit)
            if found.size >= self._k:
                return found, scores
        return self._best_of_all(unit, self._scan(unit[None], self._slots_per_scan)[0])

    def _scan(self, units: Scores, wanted: int) -> list[Slots]:
        nearest = [NearestRows(wanted, np.inf, slack=rounding_slack(self._dim)) for _ in units]
        with self._stage("float32", self._dim, self._n_live * len(units), self._n_live * self._dim * 4):
            scan(self._profiles, prefix_distances(units.astype(np.float32), cut=self._ranking.cut), nearest, self._live)
            return [rows.rows() for rows in nearest]

    def _best_of_all(self, unit: Scores, slots: Slots) -> tuple[Slots, Scores]:
        wanted = self._slots_per_scan
        while True:
            found, scores = self._ranking.best(slots, unit, certain=wanted)
            if found.size >= self._k or wanted >= self._n_live:
                return found, scores
            wanted *= 4
            slots = self._scan(unit[None], wanted)[0]

    @contextmanager
    def _stage(self, type_: ShortlistType, dim: int, rows: int, read: int) -> Iterator[None]:
        start = time.perf_counter()
        yield
        so_far = self.stages.get((type_, dim), Stage(type_, dim))
        self.stages[type_, dim] = replace(
            so_far,
            candidates=so_far.candidates + rows,
            bytes=so_far.bytes + read,
            seconds=so_far.seconds + time.perf_counter() - start,
        )
