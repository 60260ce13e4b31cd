"""Choose the shortlist that is fastest at a recall, measured on an index's own voices."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.funnel.arrays import FunnelArrays
from mrlspk.index.funnel.codes import (
    Floats,
    code_columns,
    code_dtype,
    encode,
    encode_queries,
    random_rotation,
    row_blocks,
)
from mrlspk.index.funnel.faiss_scan import Engine, available_engine
from mrlspk.index.funnel.numpy_scan import bit_distances, code_distances
from mrlspk.index.funnel.probes import Probes, best_vectors
from mrlspk.index.funnel.search import search
from mrlspk.index.shortlist import BITS_PER_VALUE, ShortlistSpec

PREFIX_DIMS = (32, 48, 64, 96, 128)
CANDIDATES = (20, 50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000)

_ROTATION_SEED = 0
_FLOAT_SHARE = 4  # wider float32 prefixes read more than they are worth
_FEWEST_PER_CANDIDATE = 4  # with fewer slots per candidate, comparing all is as fast
_TIMED_BYTES = 1 << 27
_TIMED_QUERIES = 15
_QUERIES_AT_ONCE = 250


@dataclass(frozen=True)
class MeasuredShortlist:
    """A type and a width of codes, with the fewest candidates that reach the recall.

    Attributes:
        spec: Type, width and candidates.
        recall: Share of queries whose best voice is that of the exact search.
        milliseconds: The quickest of some queries, each alone; None if it takes too many candidates for a shortlist.
        bytes_per_slot: Bytes of a code.
    """

    spec: ShortlistSpec
    recall: float
    milliseconds: float | None
    bytes_per_slot: int


@dataclass(frozen=True)
class TuneReport:
    """What was measured, and the choice.

    Attributes:
        measured: All types and widths.
        best: The fastest that reaches the recall; None if none does, or none is faster than the exact search.
        exact_milliseconds: The quickest of some exact queries, each alone; None without queries.
        recall: The recall asked for.
        probes: The queries.
    """

    measured: tuple[MeasuredShortlist, ...]
    best: ShortlistSpec | None
    exact_milliseconds: float | None
    recall: float
    probes: Probes


def tune(
    arrays: FunnelArrays,
    probes: Probes,
    recall: float,
    *,
    prefix_dims: Sequence[int] = PREFIX_DIMS,
    engine: Engine = "auto",
) -> TuneReport:
    """Return the fastest shortlist whose best voice is that of the exact search for a share ``recall`` of queries.

    Sign bits of the whole vector compete with int8 and float32 prefixes. The decision is at the stored width.

    Args:
        arrays: The index; its own codes play no part.
        probes: Queries; 0.999 takes a thousand of them.
        recall: The share to reach.
        prefix_dims: Widths of prefixes to try, as far as they are narrower than the stored width.
        engine: What scans the codes.
    """
    if not len(probes.queries):
        return TuneReport((), None, None, recall, probes)
    engine = available_engine(engine)
    best = best_vectors(arrays, probes)
    rotation = arrays.rotation if arrays.rotation is not None else random_rotation(arrays.embed_dim, _ROTATION_SEED)
    narrower = [dim for dim in prefix_dims if dim < arrays.embed_dim]
    specs = [ShortlistSpec("bits", count * arrays.embed_dim) for count in range(1, BITS_PER_VALUE + 1)]
    specs += [ShortlistSpec("int8", dim) for dim in narrower]
    specs += [ShortlistSpec("float32", dim) for dim in narrower if dim <= arrays.embed_dim // _FLOAT_SHARE]
    plain = replace(arrays, codes=None, rotation=rotation)
    measured = tuple(_measure(replace(plain, spec=spec), probes, best, recall, engine) for spec in specs)
    exact = _quickest(plain, probes, engine)
    usable = [(row.milliseconds, row.spec) for row in measured if row.milliseconds and row.milliseconds < exact]
    fastest = min(usable, key=lambda pair: pair[0], default=(exact, None))
    return TuneReport(measured, fastest[1], exact, recall, probes)


def candidates_needed(arrays: FunnelArrays, probes: Probes, best: Floats) -> NDArray[np.int64]:
    """Return, for each query, the fewest candidates that contain its best vector.

    Args:
        arrays: The index; its codes are not read, they are made again of its profiles.
        probes: The queries.
        best: The vectors to find, (queries, embed_dim).
    """
    parts = row_blocks(len(best), _QUERIES_AT_ONCE)
    return np.concatenate([np.empty(0, np.int64), *(_needed(arrays, probes, best, part) for part in parts)])


def _needed(arrays: FunnelArrays, probes: Probes, best: Floats, part: slice) -> NDArray[np.int64]:
    spec, rotation = arrays.spec, arrays.rotation
    distances_of = (bit_distances if spec.type == "bits" else code_distances)(
        encode_queries(probes.queries[part], spec, rotation)
    )
    limits = [distances[row] for row, distances in enumerate(distances_of(encode(best[part], spec, rotation)))]

    def near(vectors: Floats) -> list[NDArray[np.bool_]]:
        distances = distances_of(encode(vectors, spec, rotation))
        return [of_query <= limit for limit, of_query in zip(limits, distances, strict=True)]

    needed = np.zeros(len(limits), np.int64)
    live = arrays.live()
    for rows in row_blocks(arrays.slots):
        block = np.asarray(arrays.profiles)[rows]
        needed += [np.count_nonzero(hits) for hits in near(block if live is None else block[live[rows]])]
    if probes.left_out is not None:
        own = probes.left_out.slots[part]
        queries = np.repeat(np.arange(len(own)), [len(slots) for slots in own])
        hits = np.array(near(np.asarray(arrays.profiles)[np.concatenate(own)]))[queries, np.arange(len(queries))]
        needed -= np.bincount(queries, weights=hits, minlength=len(own)).astype(np.int64)
        needed += np.diagonal(near(probes.left_out.stand_ins[part]))
    return needed


def _measure(arrays: FunnelArrays, probes: Probes, best: Floats, recall: float, engine: Engine) -> MeasuredShortlist:
    needed = np.sort(candidates_needed(arrays, probes, best))
    misses = int((1 - recall) * needed.size + 1e-9)
    least = int(needed[needed.size - 1 - misses])
    candidates = next((count for count in CANDIDATES if least <= count <= arrays.slots // _FEWEST_PER_CANDIDATE), None)
    code_bytes = code_columns(arrays.spec) * code_dtype(arrays.spec).itemsize
    if candidates is None:
        return MeasuredShortlist(replace(arrays.spec, candidates=least), recall, None, code_bytes)
    spec = replace(arrays.spec, candidates=candidates)
    reached = float(np.mean(needed <= candidates))
    return MeasuredShortlist(spec, reached, _milliseconds(replace(arrays, spec=spec), probes, engine), code_bytes)


def _milliseconds(arrays: FunnelArrays, probes: Probes, engine: Engine) -> float:
    """Return the time of a query alone; of long arrays, a part is scanned and its time scaled."""
    code_bytes = code_columns(arrays.spec) * code_dtype(arrays.spec).itemsize
    rows = min(arrays.slots, _TIMED_BYTES // code_bytes)
    profiles = np.asarray(arrays.profiles)[:rows]
    removed = None if arrays.removed is None else arrays.removed[:rows]
    part = replace(arrays, profiles=profiles, codes=encode(profiles, arrays.spec, arrays.rotation), removed=removed)
    return _quickest(part, probes, engine, scale=arrays.slots / rows)


def _quickest(arrays: FunnelArrays, probes: Probes, engine: Engine, *, scale: float = 1.0) -> float:
    seconds = []
    for query in probes.queries[:_TIMED_QUERIES]:
        start = time.perf_counter()
        found = search(arrays, query[None], k=1, engine=engine)
        seconds.append(time.perf_counter() - start + (scale - 1) * found.stages[0].seconds)
    return 1000 * min(seconds)  # other processes and a cold cache only slow a query down
