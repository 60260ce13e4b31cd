"""Choice of a shortlist, its candidates counted by sorting and its recall by searching."""

from dataclasses import replace

import numpy as np
import pytest

from mrlspk.index.funnel import tuning
from mrlspk.index.funnel.arrays import FunnelArrays
from mrlspk.index.funnel.codes import encode, encode_queries, random_rotation
from mrlspk.index.funnel.probes import LeftOut, Probes, best_vectors, measure_recall, noisy_copies
from mrlspk.index.funnel.tuning import candidates_needed, tune
from mrlspk.index.shortlist import ShortlistSpec

DIM = 64
ROTATION = random_rotation(DIM, 0)
SPECS = [ShortlistSpec("bits", DIM), ShortlistSpec("int8", 16), ShortlistSpec("float32", 16)]


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def voices(count=1500, seed=0):
    scale = np.arange(1, DIM + 1) ** -0.5
    return unit(np.random.default_rng(seed).standard_normal((count, DIM)) * scale)


def index_of(profiles, spec=SPECS[0], removed=None):
    return FunnelArrays(profiles, None, spec, ROTATION, removed)


def ranks_by_sorting(profiles, queries, best, spec):
    """Return how many codes are at least as near as the code of the best vector."""
    codes, wanted = encode(profiles, spec, ROTATION), encode_queries(queries, spec, ROTATION)
    best_codes = encode(best, spec, ROTATION)
    if spec.type == "bits":
        distance = lambda rows, query: np.unpackbits(rows ^ query, axis=1).sum(axis=1)  # noqa: E731
    else:
        offset = 128 if spec.type == "int8" else 0
        distance = lambda rows, query: -(rows.astype(float) - offset) @ query  # noqa: E731
    return [
        int((distance(codes, query) <= distance(best_codes[row : row + 1], query)).sum())
        for row, query in enumerate(wanted)
    ]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
def test_candidates_needed_equal_ranks_of_the_best_code(spec, monkeypatch):
    monkeypatch.setattr(tuning, "_QUERIES_AT_ONCE", 7)
    profiles = voices()
    arrays = index_of(profiles, spec)
    probes = noisy_copies(arrays, count=20, cosine=0.5)
    best = best_vectors(arrays, probes)
    assert candidates_needed(arrays, probes, best).tolist() == ranks_by_sorting(profiles, probes.queries, best, spec)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
def test_left_out_recordings_count_like_an_index_without_them(spec):
    profiles, removed = voices(), np.zeros(1500, bool)
    removed[:40] = True
    own = [np.array([100]), np.array([200, 201]), np.array([300])]
    queries = unit(profiles[[100, 200, 300]] + 0.15 * voices(3, seed=1))
    stand_ins = unit(profiles[[100, 200, 300]] + 0.3 * voices(3, seed=2))
    stand_ins[2] = -queries[2]  # so that another voice is nearer
    probes = Probes(queries, "recordings", left_out=LeftOut(own, stand_ins))
    arrays = index_of(profiles, spec, removed)
    best = best_vectors(arrays, probes)
    needed = candidates_needed(arrays, probes, best)
    for row, slots in enumerate(own):
        rest = np.concatenate([np.delete(profiles, [*range(40), *slots], axis=0), stand_ins[row : row + 1]])
        nearest = rest[np.argmax(rest @ queries[row])]
        np.testing.assert_array_equal(best[row], nearest)
        assert needed[row] == ranks_by_sorting(rest, queries[row : row + 1], nearest[None], spec)[0]
    np.testing.assert_array_equal(best[0], stand_ins[0])
    assert (best[2] != stand_ins[2]).any()


def test_choice_is_the_fastest_that_reaches_the_recall():
    arrays = index_of(voices(6000))
    report = tune(arrays, noisy_copies(arrays, count=300, cosine=0.8), 0.99, prefix_dims=(16, 32))
    times = {row.spec: row.milliseconds for row in report.measured if row.milliseconds is not None}
    assert {(row.spec.type, row.spec.dim) for row in report.measured} == {
        ("bits", 64), ("bits", 128), ("int8", 16), ("int8", 32), ("float32", 16),
    }  # fmt: skip
    fastest = min(times, key=times.get)
    assert report.best == (fastest if times[fastest] < report.exact_milliseconds else None)


@pytest.mark.parametrize("type_", ["bits", "int8"])
def test_reported_recall_is_that_of_a_search_with_the_choice(type_):
    arrays = index_of(voices(6000))
    probes = noisy_copies(arrays, count=300, cosine=0.6)
    for row in tune(arrays, probes, 0.97, prefix_dims=(32,)).measured:
        if row.spec.type == type_:
            tuned = replace(arrays, spec=row.spec, codes=encode(arrays.profiles, row.spec, ROTATION))
            assert 0.97 <= row.recall == pytest.approx(measure_recall(tuned, probes), abs=1e-12)


def test_few_voices_need_no_shortlist():
    arrays = index_of(voices(60))
    report = tune(arrays, noisy_copies(arrays, count=60), 0.999)
    assert report.best is None
    assert [row.milliseconds for row in report.measured] == [None] * len(report.measured)


def test_an_index_without_voices_needs_no_shortlist():
    arrays = index_of(np.empty((0, DIM), np.float32))
    assert tune(arrays, noisy_copies(arrays, count=60), 0.999).best is None
