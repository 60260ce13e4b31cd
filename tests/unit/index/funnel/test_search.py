"""Search of voices: equal to brute force, the same with any engine, block and batch, under filters and ties."""

import tracemalloc

import numpy as np
import pytest

from mrlspk.index.funnel import numpy_scan
from mrlspk.index.funnel import search as search_module
from mrlspk.index.funnel.arrays import FunnelArrays
from mrlspk.index.funnel.codes import encode, random_rotation
from mrlspk.index.funnel.search import search
from mrlspk.index.shortlist import ShortlistSpec

DIM, SLOTS = 64, 3000
SPECS = [ShortlistSpec("bits", 2 * DIM, 400), ShortlistSpec("int8", 32, 200), ShortlistSpec("float32", 32, 200)]
ENGINES = ["numpy", "faiss"]

by_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
by_engine = pytest.mark.parametrize("engine", ENGINES)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def voices_and_queries(slots=SLOTS, queries=12, seed=0):
    rng = np.random.default_rng(seed)
    voices = unit(rng.standard_normal((slots, DIM)))
    targets = rng.choice(slots, queries, replace=False)
    return voices, unit(voices[targets] + 0.05 * rng.standard_normal((queries, DIM))), targets


def arrays_of(voices, spec, *, removed=None):
    rotation = random_rotation(DIM, 0) if spec.type == "bits" else None
    return FunnelArrays(voices, encode(voices, spec, rotation), spec, rotation, removed)


def brute_force(voices, queries, *, k, dim=DIM, live=None):
    """Return the best slots and cosines by a full sort in float64."""
    rows, wanted = voices[:, :dim].astype(float), queries[:, :dim].astype(float)
    cosines = (wanted / np.linalg.norm(wanted, axis=1, keepdims=True)) @ (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ).T
    if live is not None:
        cosines[:, ~live] = -2
    slots = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return slots, np.take_along_axis(cosines, slots, axis=1)


@by_spec
@by_engine
def test_best_voice_equals_brute_force(spec, engine):
    voices, queries, targets = voices_and_queries()
    found = search(arrays_of(voices, spec), queries, k=1, engine=engine)
    slots, cosines = brute_force(voices, queries, k=1)
    np.testing.assert_array_equal(found.slots, slots)
    np.testing.assert_array_equal(found.slots[:, 0], targets)
    np.testing.assert_allclose(found.scores, cosines, atol=1e-7)


@pytest.mark.parametrize("dim", [DIM, 24])
@pytest.mark.parametrize("slots", [300, 9000])
def test_exact_search_equals_brute_force_at_any_width(dim, slots):
    voices, queries, _ = voices_and_queries(slots=slots)
    best, cosines = brute_force(voices, queries, k=7, dim=dim)
    found = search(arrays_of(voices, SPECS[0]), queries, k=7, dim=dim, exact=True)
    np.testing.assert_array_equal(found.slots, best)
    np.testing.assert_allclose(found.scores, cosines, atol=1e-7)


@by_spec
def test_results_do_not_depend_on_batch_block_or_engine(spec, monkeypatch):
    voices, queries, _ = voices_and_queries(queries=9)
    arrays = arrays_of(voices, spec)
    batch = search(arrays, queries, k=5, engine="numpy")
    monkeypatch.setattr(search_module, "_QUERIES_AT_ONCE", 4)
    monkeypatch.setattr(numpy_scan, "_FLOAT_BLOCK_ROWS", 70)
    monkeypatch.setattr(numpy_scan, "_CODE_BLOCK_BYTES", 1000)
    for engine in ENGINES:
        others = search(arrays, queries, k=5, engine=engine)
        alone = [search(arrays, query[None], k=5, engine=engine) for query in queries]
        for slots, scores in (
            (others.slots, others.scores),
            (np.concatenate([one.slots for one in alone]), np.concatenate([one.scores for one in alone])),
        ):
            np.testing.assert_array_equal(slots, batch.slots)
            np.testing.assert_array_equal(scores, batch.scores)


@by_spec
@by_engine
def test_equal_scores_are_ordered_by_slot(spec, engine):
    voices, queries, targets = voices_and_queries(queries=1)
    twins = sorted({*range(5, 2000, 50), int(targets[0])})
    voices[twins] = voices[targets[0]]
    found = search(arrays_of(voices, spec), queries, k=len(twins), engine=engine)
    assert found.slots[0].tolist() == twins
    assert len(set(found.scores[0])) == 1


@by_spec
@by_engine
def test_codes_that_tie_by_the_hundreds_make_the_search_exact(spec, engine):
    voices, queries, targets = voices_and_queries(queries=1)
    voices[100:2000] = voices[targets[0]] + np.float32(1e-6)
    voices[1500] = queries[0]
    found = search(arrays_of(voices, spec), queries, k=1, engine=engine)
    assert found.slots[0, 0] == 1500
    assert found.stages[-1].candidates == SLOTS


@by_spec
@by_engine
@pytest.mark.parametrize("share", [0.005, 0.3, 0.9])
def test_hidden_slots_are_never_found(spec, engine, share):
    voices, queries, targets = voices_and_queries()
    rng = np.random.default_rng(1)
    allowed, removed = rng.random(SLOTS) < share, rng.random(SLOTS) < 0.02
    removed[targets[:6]] = allowed[targets[:6]] = True  # a filter may name removed voices
    found = search(arrays_of(voices, spec, removed=removed), queries, k=1, allowed=allowed, engine=engine)
    live = allowed & ~removed
    best, _ = brute_force(voices, queries, k=1, live=live)
    has_target = live[best[:, 0]] & (found.scores[:, 0] > 0.8)
    assert live[found.slots].all()
    np.testing.assert_array_equal(found.slots[has_target], best[has_target])
    if live.sum() <= spec.candidates:
        np.testing.assert_array_equal(found.slots, best)


@by_engine
def test_few_removed_slots_leave_the_shortlist_whole(engine):
    voices, queries, targets = voices_and_queries()
    removed = np.zeros(SLOTS, bool)
    removed[targets] = True
    for spec in SPECS:
        found = search(arrays_of(voices, spec, removed=removed), queries, k=3, engine=engine)
        copy = np.flatnonzero(~removed)
        without = search(arrays_of(voices[copy], spec), queries, k=3, engine=engine)
        np.testing.assert_array_equal(found.slots, copy[without.slots])


@by_spec
@by_engine
def test_each_voice_is_listed_once_by_its_best_profile(spec, engine):
    voices, queries, targets = voices_and_queries(queries=1)
    profiles = np.arange(10, 1000, 11)  # 90 profiles of one voice, all nearer than any other voice
    voices[profiles] = unit(voices[targets[0]] + 0.001 * np.random.default_rng(2).standard_normal((90, DIM)))
    owner = np.arange(SLOTS)
    owner[profiles] = owner[targets[0]]
    found = search(arrays_of(voices, spec), queries, k=5, voices_of=owner.__getitem__, engine=engine)
    slots, cosines = brute_force(voices, queries, k=SLOTS)
    firsts = np.sort(np.unique(owner[slots[0]], return_index=True)[1])
    assert len(set(owner[found.slots[0]])) == 5
    assert found.slots[0, 0] == slots[0, 0]
    np.testing.assert_allclose(found.scores[0, 0], cosines[0, 0])
    exact = search(arrays_of(voices, spec), queries, k=5, voices_of=owner.__getitem__, exact=True)
    np.testing.assert_array_equal(exact.slots[0], slots[0, firsts[:5]])


def test_a_voice_with_more_profiles_than_candidates_does_not_hide_others():
    voices, queries, targets = voices_and_queries(queries=1)
    voices[:1000] = unit(voices[targets[0]] + 0.03 * np.random.default_rng(2).standard_normal((1000, DIM)))
    owner = np.where(np.arange(SLOTS) < 1000, 0, np.arange(SLOTS))
    found = search(arrays_of(voices, SPECS[1]), queries, k=5, voices_of=owner.__getitem__)
    assert found.slots[0].min() >= 0
    assert len(set(owner[found.slots[0]])) == 5


def test_width_below_the_codes_is_scanned_exactly():
    voices, queries, _ = voices_and_queries()
    for spec in SPECS:
        found = search(arrays_of(voices, spec), queries, k=4, dim=24)
        np.testing.assert_array_equal(found.slots, brute_force(voices, queries, k=4, dim=24)[0])
        assert [(stage.type, stage.dim) for stage in found.stages] == [("float32", 24)]


@pytest.mark.parametrize("dim", [DIM, 24])
@pytest.mark.parametrize("exact", [False, True])
def test_searches_copy_no_whole_array(dim, exact):
    voices, queries, _ = voices_and_queries(slots=60_000)
    arrays = arrays_of(voices, SPECS[0])
    tracemalloc.start()
    search(arrays, queries[:1], k=1, dim=dim, exact=exact, engine="numpy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < voices[:, :dim].nbytes / 2


def test_prefix_codes_shortlist_for_widths_from_their_own_on():
    voices, queries, targets = voices_and_queries()
    found = search(arrays_of(voices, SPECS[1]), queries, k=1, dim=32)
    assert [(stage.type, stage.dim) for stage in found.stages] == [("int8", 32), ("float32", 32)]
    np.testing.assert_array_equal(found.slots[:, 0], targets)


@pytest.mark.parametrize("slots", [0, 3])
def test_missing_voices_are_padded(slots):
    voices, queries, _ = voices_and_queries()
    found = search(arrays_of(voices[:slots], SPECS[0]), queries[:2], k=5)
    assert (found.slots[:, slots:] == -1).all()
    assert np.isnan(found.scores[:, slots:]).all()
    np.testing.assert_array_equal(np.sort(found.slots[:, :slots], axis=1), [range(slots)] * 2)


def test_stages_tell_rows_and_bytes():
    voices, queries, _ = voices_and_queries()
    found = search(arrays_of(voices, SPECS[1]), queries[:1], k=1, engine="numpy")
    first, second = found.stages
    assert (first.candidates, first.bytes) == (SLOTS, SLOTS * 32)
    assert second.bytes == second.candidates * DIM * 4
    assert 190 <= second.candidates <= 200  # less those that tie at the last place
    assert min(first.seconds, second.seconds) > 0


@by_spec
@by_engine
def test_read_only_memory_maps_are_searched_in_place(spec, engine, tmp_path):
    voices, queries, targets = voices_and_queries()
    arrays = arrays_of(voices, spec)
    np.save(tmp_path / "profiles.npy", voices)
    np.save(tmp_path / "codes.npy", arrays.codes)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("profiles", "codes")]
    found = search(FunnelArrays(*mapped, spec, arrays.rotation), queries, k=1, engine=engine)
    np.testing.assert_array_equal(found.slots[:, 0], targets)


def test_length_of_a_query_does_not_matter():
    voices, queries, _ = voices_and_queries()
    for spec in SPECS:
        arrays = arrays_of(voices, spec)
        found, longer = search(arrays, queries, k=2), search(arrays, queries * np.float32(2**-12), k=2)
        np.testing.assert_array_equal(found.slots, longer.slots)
        np.testing.assert_array_equal(found.scores, longer.scores)


def test_queries_and_codes_of_another_width_are_refused():
    voices, queries, _ = voices_and_queries()
    arrays = arrays_of(voices, SPECS[0])
    with pytest.raises(ValueError, match="expected queries of 64 values"):
        search(arrays, queries[:, :32], k=1)
    with pytest.raises(ValueError, match="expected codes"):
        FunnelArrays(voices, arrays.codes, SPECS[1])
