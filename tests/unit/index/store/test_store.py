import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.index.funnel.codes import encode
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice
from mrlspk.index.where import parse_filter
from voice_stores import BITS, DIM, make_store, new_voice, unit_vectors


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "voices", "ann", "ben", "cid")


def voice_names(store):
    with store.reading() as snapshot:
        return [voice.name for voice in snapshot.voices()]


def test_added_voice_is_read_back_whole_by_another_store(store):
    voice = new_voice("dee", seed=9, recordings=3, profiles=2)
    with store.writing() as writer:
        assert writer.add_voices([voice]) == range(4, 5)
    with VoiceStore.open(store.folder) as other, other.reading() as snapshot:
        found = snapshot.voice("dee")
        assert (found.id, found.name, found.metadata) == (4, "dee", {"site": "north", "seed": 9})
        assert [(each.source, each.seconds, each.speech_seconds, each.warnings) for each in found.recordings] == [
            (f"/audio/dee-{number}.wav", 4.0, 3.0, ("clipped",)) for number in range(3)
        ]
        assert found.speech_seconds == 9
        assert np.array_equal(snapshot.recording_vectors(found), voice.vectors)
        assert snapshot.slots_of([4]).tolist() == [3, 4]
        assert np.array_equal(snapshot.profiles[3:], voice.profiles)
        assert (snapshot.n_voices, snapshot.n_recordings, snapshot.slots, snapshot.removed) == (4, 6, 5, None)


def test_vector_of_the_only_recording_is_the_profile(store):
    with store.reading() as snapshot:
        assert np.array_equal(snapshot.recording_vectors(snapshot.voice("ben")), unit_vectors(1, 1))
    assert (store.folder / "vectors-1" / "recordings.f32").stat().st_size == 0


def test_codes_are_those_of_the_profiles(store):
    with store.reading() as snapshot:
        assert np.array_equal(snapshot.shortlist, encode(snapshot.profiles, BITS, snapshot.rotation))
        assert np.allclose(snapshot.rotation @ snapshot.rotation.T, 2 * np.eye(DIM), atol=1e-2)


def test_name_that_is_taken_is_named_and_adds_nothing(store):
    with pytest.raises(UsageError, match="a voice 'ben' exists"), store.writing() as writer:
        writer.add_voices([new_voice(name, seed=5) for name in ("new", "ben", "other")])
    assert voice_names(store) == ["ann", "ben", "cid"]


def test_name_given_twice_is_named(store):
    with pytest.raises(UsageError, match="a voice 'new' exists"), store.writing() as writer:
        writer.add_voices([new_voice(name, seed=5) for name in ("other", "new", "new")])


def test_removed_voice_is_gone_and_its_slots_are_listed(store):
    with store.reading() as before:
        pass
    with store.writing() as writer:
        writer.remove(["ben"])
    with store.reading() as snapshot:
        assert [voice.name for voice in snapshot.voices()] == ["ann", "cid"]
        assert snapshot.removed.tolist() == [False, True, False]
        assert snapshot.voice_ids().tolist() == [1, -1, 3]
        assert (snapshot.n_voices, snapshot.n_recordings, snapshot.slots) == (2, 2, 3)
    assert before.removed is None


def test_removals_add_up_over_changes_and_within_one(store):
    for names in (["ann"], ["ben", "cid"]):
        with store.writing() as writer:
            for name in names:
                writer.remove([name])
        with store.writing() as writer:
            writer.add_voices([new_voice(f"after {name}", seed=7) for name in names])
        with store.reading() as snapshot, VoiceStore.open(store.folder).reading() as fresh:
            assert snapshot.removed.tolist() == fresh.removed.tolist()
    assert fresh.removed.tolist() == [True, True, True, False, False, False]


def test_id_of_a_removed_voice_is_not_given_again(store):
    with store.writing() as writer:
        writer.remove(["cid"])
    with store.writing() as writer:
        assert writer.add_voices([new_voice("cid", seed=2)]) == range(4, 5)


def test_added_recording_replaces_the_profiles(store):
    more, profiles = unit_vectors(2, 20), unit_vectors(2, 21)
    with store.writing() as writer:
        writer.add_recordings("ben", [NewRecording("x"), NewRecording("y")], more, profiles=profiles)
    with store.reading() as snapshot:
        voice = snapshot.voice("ben")
        assert [each.source for each in voice.recordings] == ["/audio/ben-0.wav", "x", "y"]
        assert np.array_equal(snapshot.recording_vectors(voice), np.concatenate([unit_vectors(1, 1), more]))
        assert np.array_equal(snapshot.profiles[snapshot.slots_of([voice.id])], profiles)
        assert snapshot.removed.tolist() == [False, True, False, False, False]
        assert (snapshot.n_voices, snapshot.n_recordings) == (3, 5)


def test_renamed_voice_keeps_its_id_and_metadata_can_change(store):
    with store.writing() as writer:
        writer.rename("ann", "Änne")
        writer.set_metadata("Änne", {"site": "süd"})
    with store.reading() as snapshot:
        assert (snapshot.voice("Änne").id, snapshot.voice("Änne").metadata) == (1, {"site": "süd"})
        assert not snapshot.has_voice("ann")


def test_new_name_that_is_taken_is_refused(store):
    with pytest.raises(UsageError, match="a voice 'ben' exists"), store.writing() as writer:
        writer.rename("ann", "ben")


@pytest.mark.parametrize("change", ["remove", "rename", "set_metadata", "add_recordings"])
def test_change_of_an_unknown_voice_suggests_its_name(store, change):
    arguments = {
        "remove": (["anna"],),
        "rename": ("anna", "x"),
        "set_metadata": ("anna", {}),
        "add_recordings": ("anna", [NewRecording("x")], unit_vectors(1, 1)),
    }[change]
    extra = {"profiles": unit_vectors(1, 1)} if change == "add_recordings" else {}
    with pytest.raises(UsageError, match="there is no voice 'anna'") as caught, store.writing() as writer:
        getattr(writer, change)(*arguments, **extra)
    assert "Did you mean ann?" in caught.value.fix


def test_filter_chooses_voices_and_slots(store):
    condition = parse_filter("seed >= 1 and site = 'north'")
    with store.reading() as snapshot:
        assert [voice.name for voice in snapshot.voices(condition)] == ["ben", "cid"]
        assert snapshot.slots_where(condition).tolist() == [1, 2]


def test_slots_are_given_the_names_of_their_voices(store):
    with store.reading() as snapshot:
        assert snapshot.voices_of(np.array([2, 0, 2])) == [(3, "cid"), (1, "ann"), (3, "cid")]


def test_setting_is_kept_until_it_is_removed(store):
    for value in ("{}", None):
        with store.writing() as writer:
            writer.put_setting("calibration", value)
        with store.reading() as snapshot:
            assert snapshot.setting("calibration") == value


def test_reading_shows_the_state_of_its_beginning(store):
    with store.reading() as snapshot:
        with VoiceStore.open(store.folder).writing() as writer:
            writer.remove(["ann"])
        assert [voice.name for voice in snapshot.voices()] == ["ann", "ben", "cid"]
    assert voice_names(store) == ["ben", "cid"]


@pytest.mark.parametrize("vectors", [unit_vectors(1, 0, DIM // 2), unit_vectors(1, 0) * 2, np.full((1, DIM), np.nan)])
def test_vectors_that_do_not_belong_are_refused(store, vectors):
    voice = new_voice("dee", seed=3)
    with pytest.raises(DataError, match="expected vectors"), store.writing() as writer:
        writer.add_voices([type(voice)("dee", voice.recordings, vectors, vectors)])
    assert voice_names(store) == ["ann", "ben", "cid"]


@pytest.mark.parametrize(
    ("n_recordings", "n_vectors", "n_profiles", "message"),
    [
        (2, 1, 1, "expected a vector for each of the recordings to add, got 1 for 2"),
        (0, 0, 1, "expected a vector for each of the recordings to add, got 0 for 0"),
        (1, 1, 2, "expected profiles, one if there is one recording, got 2"),
        (2, 2, 0, "expected profiles, one if there is one recording, got 0"),
    ],
)
def test_voice_with_too_few_or_too_many_vectors_is_refused(n_recordings, n_vectors, n_profiles, message):
    recordings = [NewRecording("x")] * n_recordings
    with pytest.raises(DataError, match=message):
        NewVoice("dee", recordings, unit_vectors(n_vectors, 1), unit_vectors(n_profiles, 2))


def test_recordings_without_a_vector_are_not_added(store):
    recordings = [NewRecording("x"), NewRecording("y")]
    with pytest.raises(DataError, match="got 1 for 2"), store.writing() as writer:
        writer.add_recordings("ann", recordings, unit_vectors(1, 1), profiles=unit_vectors(1, 2))


def test_index_is_not_created_over_files(tmp_path, store):
    with pytest.raises(MrlspkError, match="exists"):
        make_store(store.folder)
    (tmp_path / "empty").mkdir()
    assert voice_names(make_store(tmp_path / "empty")) == []


def test_path_that_is_no_unicode_text_can_be_kept(store):
    with store.writing() as writer:
        writer.add_recordings("ann", [NewRecording("a\udcff.wav")], unit_vectors(1, 20), profiles=unit_vectors(1, 21))
    with store.reading() as snapshot:
        assert snapshot.voice("ann").recordings[1].source == "a\\udcff.wav"


def resident_kib(path):
    """Return how much of a mapped file this process has in memory, from what the kernel says of its mappings."""
    maps = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    return sum(int(each.partition("\nRss:")[2].split()[0]) for each in maps)


def test_opening_reads_no_vectors(tmp_path):
    with make_store(tmp_path / "many") as store, store.writing() as writer:
        writer.add_voices(new_voice(f"voice {number}", seed=number, dim=DIM) for number in range(3000))
    path = store.folder / "vectors-1" / "profiles.f32"
    with VoiceStore.open(store.folder) as other, other.reading() as snapshot:
        snapshot.voice("voice 7")
        snapshot.voices_of(np.array([2999]))
        assert resident_kib(path) == 0
        float(snapshot.profiles.sum())
        assert resident_kib(path) == 3000 * DIM * 4 / 1024 + 0.5


def test_opening_keeps_nothing_for_each_voice(tmp_path):
    """2,000 voices alone would need more than 100 KiB as Python objects."""
    with make_store(tmp_path / "many") as store, store.writing() as writer:
        writer.add_voices(new_voice(f"voice {number}", seed=number) for number in range(2000))
        writer.remove(["voice 3"])
    with make_store(tmp_path / "one", "voice 7") as small:
        pass
    grown = {}
    for folder in (small.folder, small.folder, store.folder):
        tracemalloc.start()
        with VoiceStore.open(folder) as other, other.reading() as snapshot:
            snapshot.voice("voice 7")
            grown[folder] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert grown[store.folder] - grown[small.folder] < 20_000
