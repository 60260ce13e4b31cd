"""The shortlist of an index, chosen on its own voices."""

import numpy as np
import pytest

import mrlspk
from mrlspk.errors import DataError, UsageError
from mrlspk.index import tuning
from mrlspk.index.funnel.tuning import TuneReport
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.tuning import recording_probes, tune_store
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

DIM, N_VOICES = 64, 500


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """An index of 500 voices, half of them with two recordings, and a shortlist of few candidates."""
    folder, rng = tmp_path_factory.mktemp("tuned"), np.random.default_rng(1)
    names = np.repeat(np.arange(N_VOICES), np.arange(N_VOICES) % 2 + 1)
    vectors = rng.standard_normal((N_VOICES, DIM))[names] + 0.5 * rng.standard_normal((len(names), DIM))
    ids = tuple(f"v{name}/{row}" for row, name in enumerate(names))
    save_vectors(VectorTable(ids, vectors.astype(np.float32)), folder / "v.npz", force=False)
    with mrlspk.VoiceIndex.create(folder / "index", dim=DIM) as made:
        made.add_vectors(folder / "v.npz")
        made.store.replace_shortlist(ShortlistSpec("bits", DIM, 20))
        yield made


def test_recordings_are_searched_for_with_their_voice_made_without_them(index):
    with index.store.reading() as snapshot:
        probes = recording_probes(snapshot, 500)
        voice = snapshot.voice("v1")
        rows = np.array(snapshot.recording_vectors(voice))
        assert len(probes.queries) == 500
        (first, second) = (int(np.flatnonzero((probes.queries == row).all(axis=1))[0]) for row in rows)
        np.testing.assert_array_equal(probes.left_out.stand_ins[[second, first]], rows)
        np.testing.assert_array_equal(probes.left_out.slots[first], snapshot.slots_of([voice.id]))
        assert recording_probes(snapshot, 10_000).queries.shape == (500, DIM)


def test_tuning_measures_on_the_recordings_of_the_index(index):
    report = tune_store(index.store, 0.95, apply=False, queries=300)
    assert report.probes.source == "recordings"
    assert report.measured[0].recall >= 0.95


def test_tuning_changes_the_shortlist_only_if_it_is_to(index, monkeypatch):
    before, best = index.settings.shortlist, ShortlistSpec("int8", 32, 50)
    monkeypatch.setattr(tuning, "tune", lambda _, probes, recall, **__: TuneReport((), best, 1.0, recall, probes))
    assert index.tune(apply=False).best == best
    assert index.settings.shortlist == before
    index.tune(recall=0.9)
    assert index.settings.shortlist == best
    assert index.check() == ()
    index.store.replace_shortlist(before)


def test_tuning_an_index_of_single_recordings_searches_for_noisy_copies(tmp_path):
    with mrlspk.VoiceIndex.create(tmp_path / "index", dim=DIM) as index:
        with pytest.raises(DataError, match="no voice is enrolled"):
            index.tune()
        vectors = np.random.default_rng(0).standard_normal((50, DIM)).astype(np.float32)
        save_vectors(VectorTable(tuple(f"v{n}/1" for n in range(50)), vectors), tmp_path / "v.npz", force=False)
        index.add_vectors(tmp_path / "v.npz")
        assert tune_store(index.store, 0.9, apply=False, queries=20).probes.source == "noisy copies"
        with pytest.raises(UsageError, match="recall"):
            index.tune(recall=99.9)
