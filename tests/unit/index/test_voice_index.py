"""The index from Python, over vectors: enrol, search, filter, rename, remove, export."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mrlspk
from mrlspk.errors import DataError, UsageError
from mrlspk.index.enrolment.groups import FEWEST_VOICES
from mrlspk.index.evaluating import KnownRecordings, evaluate_known
from mrlspk.index.searching import SearchOptions, search_voices
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

DIM = 16
NAMES = "ann", "bob", "cid", "dee"


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def recordings(seed=0, names=NAMES, each=2):
    """Return ids and vectors of recordings, each near the vector of its voice."""
    rng = np.random.default_rng(seed)
    voices = np.repeat(rng.standard_normal((len(names), DIM)), each, axis=0)
    ids = tuple(f"{name}/{number}" for name in names for number in range(each))
    return ids, (voices + 0.3 * rng.standard_normal(voices.shape)).astype(np.float32)


def write(path, ids, vectors, **known):
    save_vectors(VectorTable(ids, vectors, **known), path, force=False)
    return path


@pytest.fixture
def index(tmp_path):
    """An index of four voices with two recordings each."""
    file = write(tmp_path / "v.npz", *recordings(), fingerprint="f" * 8, dims=(8, DIM), speech_detector="")
    made = mrlspk.VoiceIndex.create(tmp_path / "index", vectors=file)
    made.add_vectors(file)
    yield made
    made.close()


def test_index_of_vectors_takes_width_and_model_of_the_file(index):
    settings = index.settings
    assert (settings.embed_dim, settings.dims, settings.fingerprint) == (DIM, (8, DIM), "ffffffff")
    assert (settings.speech, settings.speech_detector, settings.model) == ("all", "", None)


def test_voice_is_the_mean_of_its_unit_vectors(index):
    ids, vectors = recordings()
    result = index.search(vectors[0], k=2)
    mean = unit(unit(vectors[:2]).sum(axis=0, keepdims=True))[0]
    assert result.results[0].name == "ann"
    assert result.results[0].score == pytest.approx(float(mean @ unit(vectors[:1])[0]), abs=1e-6)
    assert (result.dim, result.voices, len(result.results)) == (DIM, 4, 2)
    assert [each.source for each in index.voice("ann").recordings] == list(ids[:2])


def test_search_at_a_width_cuts_first_and_then_normalises(index):
    _, vectors = recordings()
    mean = unit(unit(vectors[:2]).sum(axis=0, keepdims=True))
    expected = float((unit(mean[:, :8]) @ unit(vectors[:1, :8]).T)[0, 0])
    (match,) = index.search(vectors[0], k=1, dim=8).results
    assert match.score == pytest.approx(expected, abs=1e-6)
    assert index.verify("ann", vectors[0], dim=8).score == match.score
    with pytest.raises(UsageError, match="no width 4"):
        index.search(vectors[0], dim=4)


def test_batch_gives_the_results_of_single_searches(index):
    _, vectors = recordings(seed=3)
    assert [each.results for each in index.search_many(vectors)] == [index.search(each).results for each in vectors]


def test_filter_limits_the_voices_that_are_searched(index):
    for name, site in zip(NAMES, ["north", "south", "north", "south"], strict=True):
        index.set_metadata(name, {"site": site})
    _, vectors = recordings()
    result = index.search(vectors[0], where='site = "south"')
    assert {each.name for each in result.results} == {"bob", "dee"}
    assert result.voices == 2
    assert [each.name for each in index.voices('site = "north" and name > "b"')] == ["cid"]
    assert index.search(vectors[0], where='site = "west"').results == ()
    with pytest.raises(UsageError, match="where"):
        index.voices("site")


def test_adding_to_a_voice_makes_its_mean_again(index, tmp_path):
    _, vectors = recordings()
    more = np.random.default_rng(9).standard_normal((1, DIM)).astype(np.float32) + vectors[:1]
    added = index.add_vectors(write(tmp_path / "more.npz", ("ann/2",), more, fingerprint="f" * 8))
    assert (added.names, added.new_names, added.n_recordings) == (("ann",), (), 1)
    mean = unit(unit(np.concatenate([vectors[:2], more])).sum(axis=0, keepdims=True))[0]
    assert index.verify("ann", mean).score == pytest.approx(1, abs=1e-6)
    assert len(index) == 4
    assert index.check() == ()


def test_recording_that_is_enrolled_already_is_noted_and_left_out(index, tmp_path):
    added = index.add_vectors(tmp_path / "v.npz")
    assert (added.names, added.n_recordings) == ((), 0)
    assert [str(each) for each in added.repeated][0] == "ann/0 (ann): is enrolled already, as ann/0"
    assert len(added.repeated) == 8
    assert len(index.voice("ann").recordings) == 2


@pytest.mark.parametrize(
    ("known", "what"),
    [
        ({"fingerprint": "other"}, "expected vectors of the model ffffffff, got those of other"),
        ({"fingerprint": "f" * 8, "speech_detector": "energy-1"}, "whole recordings, got those of energy-1"),
    ],
)
def test_vectors_of_another_model_or_speech_are_refused(index, tmp_path, known, what):
    with pytest.raises(DataError, match=what):
        index.add_vectors(write(tmp_path / "o.npz", *recordings(1), **known))
    assert len(index) == 4


def test_vectors_of_an_unknown_model_are_taken_with_a_warning(index, tmp_path):
    ids, vectors = recordings(1, names=("eve",))
    (warning,) = index.add_vectors(write(tmp_path / "o.npz", ids, vectors)).warnings
    assert "does not say which model" in warning
    assert "eve" in index


def test_vectors_of_a_name_that_no_voice_can_have_are_refused(index, tmp_path):
    ids, vectors = recordings(names=("x" * 501,))
    with pytest.raises(UsageError, match="expected a name of 1 to 500 printable characters"):
        index.add_vectors(write(tmp_path / "long.npz", ids, vectors))
    assert len(index) == len(NAMES)


def test_failed_addition_changes_nothing(index, tmp_path):
    opposite = np.array([[1.0] * DIM, [-1.0] * DIM], np.float32)
    ids = ("new/1", "odd/1", "odd/2")
    vectors = np.concatenate([np.eye(1, DIM, dtype=np.float32), opposite])
    with pytest.raises(DataError, match="opposite"):
        index.add_vectors(write(tmp_path / "o.npz", ids, vectors, fingerprint="f" * 8))
    assert len(index) == 4
    assert "new" not in index
    assert index.check() == ()


def test_wrong_speaker_under_a_name_is_told(tmp_path):
    names = tuple(f"v{number:02d}" for number in range(FEWEST_VOICES))
    ids, vectors = recordings(names=names, each=4)
    vectors[2] = vectors[5]  # of the next voice
    vectors[:, 0] += 6  # as in models whose vectors share a direction
    vectors[2, 1] += 0.01
    index = mrlspk.VoiceIndex.create(tmp_path / "index", dim=DIM)
    (outlier,) = index.add_vectors(write(tmp_path / "v.npz", ids, vectors)).outliers
    assert (outlier.name, outlier.source) == ("v00", "v00/2")
    index.close()


def test_removed_voice_is_not_found_and_its_name_is_free(index):
    _, vectors = recordings()
    index.remove(["ann", "bob"])
    assert {each.name for each in index.search(vectors[0]).results} == {"cid", "dee"}
    assert "ann" not in index
    index.rename("cid", "ann")
    assert index.search(vectors[4], k=1).results[0].name == "ann"
    with pytest.raises(UsageError, match="'dee' exists"):
        index.rename("ann", "dee")
    with pytest.raises(UsageError, match="no voice 'bob'"):
        index.remove("bob")


def test_narrowed_index_goes_on_in_the_same_object(index, tmp_path):
    _, vectors = recordings()
    before = index.search(vectors[0], dim=8).results
    index.compact(dim=8)
    after = index.search(vectors[0]).results
    assert [each.name for each in after] == [each.name for each in before]
    np.testing.assert_allclose([each.score for each in after], [each.score for each in before], atol=0.02)
    with index.store.reading() as snapshot:  # for a query that was read before
        (wide,) = search_voices(snapshot, unit(vectors[:1]), SearchOptions()).matches
    np.testing.assert_allclose([each.score for each in wide], [each.score for each in after], atol=1e-6)
    ids, more = recordings(1, names=("eve",))
    index.add_vectors(write(tmp_path / "o.npz", ids, more, fingerprint="f" * 8))  # wider, and cut
    assert index.search(more[0], k=1).results[0].name == "eve"


def test_export_is_read_back_with_names_and_metadata(index, tmp_path):
    index.set_metadata("ann", {"site": "nörth"})
    (path,) = index.export(tmp_path / "voices.npz")
    assert load_vectors(path).ids == tuple(f"{name}/1" for name in NAMES)
    with np.load(path) as arrays:
        assert json.loads(str(arrays["metadata"][0])) == {"site": "nörth"}
        assert arrays["name"].tolist() == list(NAMES)
    again = mrlspk.VoiceIndex.create(tmp_path / "again", vectors=path)
    again.add_vectors(path)
    _, vectors = recordings()
    assert again.search(vectors[0]).results == index.search(vectors[0]).results
    (path,) = index.export(tmp_path / "recordings.jsonl", recordings=True, where='name = "ann"')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["id"] for each in lines] == ["ann/ann/0", "ann/ann/1"]
    assert json.loads(lines[0]["metadata"]) == {"site": "nörth"}
    again.close()


def test_evaluation_on_enrolled_recordings_alone_is_refused(index):
    _, vectors = recordings()
    known = KnownRecordings(("ann",), ("other.wav",), unit(vectors[:1]), np.ones(1), ())
    with pytest.raises(DataError, match="every recording is enrolled itself"):
        evaluate_known(index.store, known)


def test_export_tells_of_names_that_are_not_read_back(index, tmp_path, caplog):
    index.export(tmp_path / "plain.npz")
    assert not caplog.records
    index.rename("ann", "ann/home")
    index.export(tmp_path / "slash.npz")
    assert "names of voices end at their first / when the file is enrolled" in caplog.text
    assert "ann/home" in caplog.text


def test_score_of_a_voice_is_that_of_its_best_profile(tmp_path):
    ids, vectors = recordings(each=2)
    vectors[1] = -vectors[2]
    index = mrlspk.VoiceIndex.create(tmp_path / "index", dim=DIM, profiles=2)
    index.add_vectors(write(tmp_path / "v.npz", ids, vectors))
    for row in (0, 1):
        (match,) = index.search(vectors[row], k=1).results
        assert match.name == "ann"
        assert match.score == pytest.approx(1, abs=1e-6)
    everyone = index.search(vectors[0], k=10).results
    assert sorted(each.name for each in everyone) == list(NAMES)
    assert index.search(vectors[0], where='name in ("ann", "bob")').voices == 2
    index.close()


@pytest.mark.parametrize(
    "query", [np.zeros(DIM), np.full(DIM, np.nan), np.ones(DIM - 1), np.ones((2, DIM)), np.ones(DIM, np.int64)]
)
def test_query_that_is_no_vector_of_the_index_is_refused(index, query):
    with pytest.raises(UsageError):
        index.search(query)


def test_recording_needs_a_model_that_the_index_does_not_name(index):
    with pytest.raises(UsageError, match="names no model"):
        index.search("a.wav")


def test_threads_and_copies_share_an_index(index):
    _, vectors = recordings()
    expected = [index.search(each).results for each in vectors]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda each: index.search(each).results, vectors)) == expected
    with mrlspk.VoiceIndex.open(index.store.folder) as again:
        assert again.search(vectors[0]).results == expected[0]


def test_pickled_index_opens_its_files_in_the_other_process(index):
    _, vectors = recordings()
    copy = pickle.loads(pickle.dumps(index))
    assert copy.search(vectors[0]).results == index.search(vectors[0]).results
    copy.close()


def test_list_of_paths_is_refused_with_the_way_to_give_them(index):
    with pytest.raises(UsageError, match="got a list of them") as caught:
        index.add("eve", ["a.wav", "b.wav"])
    assert caught.value.fix == "Give them one by one: `add(name, *paths)`."


def test_closed_index_answers_nothing_until_it_is_opened_again(index, tmp_path):
    _, vectors = recordings()
    listing = index.voices()
    next(listing)  # a reading that ends after the index is closed
    index.close()
    index.close()
    assert len(list(listing)) == len(NAMES) - 1
    calls = (
        lambda: index.search(vectors[0]),
        lambda: index.remove("ann"),
        lambda: index.add_vectors(tmp_path / "v.npz"),
        index.check,
        index.compact,
        lambda: len(index),
    )
    for call in calls:
        with pytest.raises(UsageError, match="the index was closed"):
            call()
    with mrlspk.VoiceIndex.open(index.store.folder) as again:
        assert len(again) == len(NAMES)


def test_filter_that_fits_none_names_its_unknown_keys(index, caplog):
    _, vectors = recordings()
    asks = (lambda text: list(index.voices(text)), lambda text: index.search(vectors[0], where=text).results)
    for ask in asks:
        assert not list(ask('site = "north"'))
        index.set_metadata("ann", {"site": "north", "age": 3})
        assert not list(ask('site = "south" or name = "zoe"'))  # known keys
        assert not list(ask('sitte = "north" and age = 4 or agge > 3'))
        index.set_metadata("ann", {})
        told = [each.getMessage() for each in caplog.records]
        assert told == [
            "no voice has the key site; no voice has metadata",
            "no voice has the keys sitte, agge; those of voices: age, site",
        ]
        caplog.clear()
