"""Decisions of an index that is calibrated on its own voices."""

import numpy as np
import pytest

import mrlspk
from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.index.deciding import NO_SPEECH, NOT_CALIBRATED, DecisionOptions, Judge, read_calibration
from mrlspk.index.queries import Queries
from mrlspk.index.results import Asked, Match
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

DIM, N_VOICES, EACH = 32, 40, 3


def recordings_of(centres, *, each, seed):
    rng = np.random.default_rng(seed)
    vectors = np.repeat(centres, each, axis=0)
    return (vectors + 0.6 * rng.standard_normal(vectors.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def centres():
    return np.random.default_rng(7).standard_normal((N_VOICES, DIM))


@pytest.fixture(scope="module")
def index(tmp_path_factory, centres):
    """A calibrated index of 40 voices."""
    folder = tmp_path_factory.mktemp("calibrated")
    ids = tuple(f"v{number:02d}/{each}" for number in range(N_VOICES) for each in range(EACH))
    save_vectors(VectorTable(ids, recordings_of(centres, each=EACH, seed=1)), folder / "v.npz", force=False)
    with mrlspk.VoiceIndex.create(folder / "index", dim=DIM) as made:
        made.add_vectors(folder / "v.npz")
        assert made.identify(np.ones(DIM)).warnings == (NOT_CALIBRATED,)
        report = made.calibrate()
        assert report.calibration.n_target_voices == N_VOICES
        yield made


def test_calibrated_index_accepts_its_speakers_and_no_strangers(index, centres):
    queries = recordings_of(centres, each=1, seed=2)
    found = index.identify_many(queries, false_accept_rate=0.01)
    names = [f"v{number:02d}" for number in range(N_VOICES)]
    assert sum(each.name == name for each, name in zip(found, names, strict=True)) >= 0.9 * N_VOICES
    assert not any(each.name not in {None, name} for each, name in zip(found, names, strict=True))
    strangers = np.random.default_rng(8).standard_normal((200, DIM))
    assert sum(each.name is not None for each in index.identify_many(strangers, false_accept_rate=0.01)) <= 6


def test_identification_tells_rate_and_threshold_for_the_voices_searched(index, centres):
    query = recordings_of(centres[:1], each=1, seed=2)[0]
    found = index.identify(query, false_accept_rate=0.05, k=3)
    assert (found.decision, found.name, found.names) == ("accept", "v00", ("v00",))
    assert (found.voices, found.false_accept_rate) == (N_VOICES, 0.05)
    assert found.candidates[0].score >= found.threshold
    assert len(found.candidates) == 3
    assert found.candidates[0].llr > found.candidates[1].llr
    few = index.identify(query, false_accept_rate=0.05, where='name in ("v00", "v01")', k=1)
    assert (few.name, few.voices, len(few.candidates)) == ("v00", 2, 1)
    assert few.threshold < found.threshold
    assert few.warnings[-1].startswith("the filter leaves 2 of 40 voices")
    assert not any("filter" in each for each in found.warnings)


def test_query_between_two_voices_is_ambiguous_unless_one_leads(index):
    vectors = [index.voice(name).id for name in ("v00", "v01")]
    with index.store.reading() as snapshot:
        pair = np.array(snapshot.profiles[snapshot.slots_of(vectors)])
    between = pair.sum(axis=0)
    found = index.identify(between, false_accept_rate=0.2, margin=5.0)
    assert found.decision == "ambiguous"
    assert found.name is None
    assert set(found.names) == {"v00", "v01"}
    shown = index.identify(between, false_accept_rate=0.2, margin=5.0, k=1)  # the rival counts all the same
    assert (shown.decision, len(shown.candidates)) == ("ambiguous", 1)
    assert index.identify(between + 0.4 * pair[0], false_accept_rate=0.2, margin=0.0).name == "v00"


def test_verification_decides_as_a_search_over_one_voice(index, centres):
    query = recordings_of(centres[:1], each=1, seed=2)[0]
    own, other = index.verify("v00", query), index.verify("v01", query)
    assert (own.same, other.same) == (True, False)
    assert own.llr > 0 > other.llr
    with index.store.reading() as snapshot:
        calibration = read_calibration(snapshot)
    assert own.threshold == calibration.threshold(0.01, 1, DIM, None).score
    with pytest.raises(UsageError, match="no voice 'v99'"):
        index.verify("v99", query)


def test_query_without_speech_gets_no_decision(index):
    with index.store.reading() as snapshot:
        judge = Judge(read_calibration(snapshot), DecisionOptions(), DIM, N_VOICES)
    matches = (Match("v00", 0.99), Match("v01", 0.1))
    for asked in (Asked("a.wav", 3.0, 0.0), Asked("a.wav", 3.0, None, ("silent",))):
        queries = Queries((asked,), np.ones((1, DIM), np.float32), (None,))
        found = judge.identify(queries, 0, matches, k=2)
        assert (found.decision, found.names, found.warnings) == (None, (), (NO_SPEECH,))
        assert found.candidates == matches
        assert judge.verify(queries, matches[0]).same is None


def test_calibration_of_too_few_voices_is_refused(tmp_path):
    ids, vectors = ("a/1", "a/2", "b/1"), np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float32)
    save_vectors(VectorTable(ids, vectors), tmp_path / "v.npz", force=False)
    with mrlspk.VoiceIndex.create(tmp_path / "index", dim=DIM) as index:
        with pytest.raises(DataError, match="no voice is enrolled"):
            index.calibrate()
        index.add_vectors(tmp_path / "v.npz")
        with pytest.raises(DataError, match="needs 20 voices"):
            index.calibrate()


def test_calibration_of_a_newer_version_is_refused_with_the_way_out(tmp_path):
    with mrlspk.VoiceIndex.create(tmp_path / "index", dim=DIM) as made:
        with made.store.writing() as writer:
            writer.put_setting("calibration", '{"version": 2}')
        with pytest.raises(MrlspkError, match=r"cannot be understood[\s\S]*Calibrate the index again") as refused:
            made.identify(np.ones(DIM))
        assert refused.value.exit_code == 1


def test_calibration_compares_with_as_many_profiles_as_the_index_makes(tmp_path, centres):
    """Each voice has a headset and a telephone: their mean is near neither of them."""
    rng = np.random.default_rng(3)
    telephone = 2 * rng.standard_normal((N_VOICES, DIM))
    conditions = np.concatenate([recordings_of(centres + shift, each=3, seed=4) for shift in (0, telephone)])
    ids = tuple(f"v{number:02d}/{kind}{each}" for kind in "ht" for number in range(N_VOICES) for each in range(3))
    save_vectors(VectorTable(ids, conditions), tmp_path / "v.npz", force=False)
    misses = []
    for profiles in (1, 2):
        with mrlspk.VoiceIndex.create(tmp_path / f"index-{profiles}", dim=DIM, profiles=profiles) as made:
            made.add_vectors(tmp_path / "v.npz")
            misses.append(made.calibrate().expected[0].miss_rate)
    assert misses[1] < misses[0] / 2
