"""``mrlspk index create`` and ``add``, on recordings and on vectors, and their export."""

import shutil
import stat

import numpy as np
import pytest
import soundfile

from factories import RATE, write_tiny_model
from recorded_index import make_index, recording, vector_file, write_recordings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint of random weights with two widths."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "model.pt", (4, 8))


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A folder of three voices with two recordings of 1.5 s each, and a silent file beside it."""
    return write_recordings(tmp_path_factory.mktemp("speech") / "voices")


@pytest.fixture(scope="module")
def made(tmp_path_factory, model, voices):
    """An index with the first recording of each voice."""
    return make_index(tmp_path_factory.mktemp("made") / "index", model, voices)


@pytest.fixture
def index(made, tmp_path):
    return shutil.copytree(made, tmp_path / "index")


def test_created_index_is_private_and_names_its_model(run, model, tmp_path):
    created = run("index", "create", tmp_path / "i", "--model", model, "--profiles", "auto", "--dim", "4", "--json")
    settings = created.json["settings"]
    assert (settings["embed_dim"], settings["dims"], settings["profiles"]) == (4, [4], "auto")
    assert (settings["model"], settings["speech"]) == (str(model), "auto")
    assert stat.S_IMODE((tmp_path / "i").stat().st_mode) == 0o700
    assert "To enrol voices: mrlspk index add" in run("index", "create", tmp_path / "j", "--model", model).stdout


def test_create_refuses_a_folder_with_files(run, model, index):
    assert run("index", "create", index, "--model", model).exit_code == 1


@pytest.mark.parametrize("profiles", ["0", "-1", "many", "101"])
def test_create_refuses_a_number_of_profiles(run, model, tmp_path, profiles):
    refused = run("index", "create", tmp_path / "i", "--model", model, "--profiles", profiles)
    assert (refused.exit_code, (tmp_path / "i").exists()) == (2, False)
    assert "--profiles" in refused.stderr


def test_add_enrols_and_then_extends_a_voice(run, index, voices):
    added = run("index", "add", index, "dora", recording(voices, 0, 2), "--metadata", "age=34", "--json").json
    assert (added["names"], added["new_names"], added["recordings"], added["voices"]) == (["dora"], ["dora"], 1, 4)
    again = run("index", "add", index, "dora", recording(voices, 1), "--metadata", "site=north")
    assert "added to dora: 1 recording" in again.stdout
    shown = run("index", "show", index, "dora", "--json").json
    assert (len(shown["recordings"]), shown["metadata"]) == (2, {"age": 34, "site": "north"})


def test_add_of_a_folder_takes_names_from_it(run, index, voices):
    added = run("index", "add", index, "--from-folder", voices, "--json").json
    assert added["names"] == ["speaker0", "speaker1", "speaker2"]
    assert (added["recordings"], added["voices"]) == (6, 6)


def test_add_of_a_table_takes_metadata_from_it(run, index, voices, tmp_path):
    table = tmp_path / "voices.csv"
    table.write_text(f"name,path,site\nzoe,{recording(voices, 2)},north\n")
    assert run("index", "add", index, "--from-csv", table).exit_code == 0
    assert run("index", "show", index, "zoe", "--json").json["metadata"] == {"site": "north"}


def test_add_refuses_silence_and_enrols_the_others(run, index, voices):
    added = run("index", "add", index, "dora", recording(voices, 0, 2), voices.parent / "silent.wav", "--json")
    assert (added.exit_code, added.json["recordings"]) == (3, 1)
    assert [each["reason"] for each in added.json["refused"]] == ["holds no speech"]
    assert "1 of 2 recordings were refused, the others are enrolled" in added.stderr
    assert run("index", "add", index, "mute", voices.parent / "silent.wav").exit_code == 3
    assert "mute" not in run("index", "list", index).stdout


def test_add_refuses_less_speech_than_asked_for(run, index, voices):
    refused = run("index", "add", index, "dora", recording(voices, 0, 2), "--min-speech-seconds", "30")
    assert refused.exit_code == 3
    assert "a voice needs 30 s" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected recordings from one place, got none"),
        (("ann",), "expected NAME and AUDIO, got one of them"),
        (("ann", "a.wav", "--from-folder", "x"), "got the name ann too"),
        (("--from-folder", "x", "--from-csv", "y"), "expected recordings from one place, got 2"),
        (("ann", "a.wav", "--speakers", "s"), "--speakers: given without vectors"),
        (("--from-folder", "x", "--metadata", "a=1"), "--metadata: given without NAME"),
        (("ann", "a.wav", "--metadata", "north"), "expected key=value, got 'north'"),
        (("ann", "a.wav", "--metadata", "a=1", "--metadata", "a=2"), "got a twice"),
    ],
)
def test_add_from_no_place_or_several_is_a_usage_error(run, index, words, said):
    refused = run("index", "add", index, *words)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_add_and_search_tell_warnings_of_recordings_once(run, index, voices, tmp_path):
    calls = [tmp_path / "call.wav", tmp_path / "again.wav"]
    for speaker, call in enumerate(calls):
        soundfile.write(call, soundfile.read(recording(voices, speaker))[0][::2], RATE // 2)
    added = run("index", "add", index, "eve", *calls, "--json")
    told = f"warning: {calls[0]} (eve): upsampled from 8000 Hz; the same of 1 more"
    assert told in " ".join(added.stderr.split())
    assert {"name": "eve", "source": str(calls[1]), "reason": "upsampled from 8000 Hz"} in added.json["noted"]
    assert run("index", "search", index, *calls).stderr.count("upsampled from 8000 Hz") == 1


def test_another_model_is_refused(run, index, voices, tmp_path):
    other = write_tiny_model(tmp_path / "other.pt", (4, 8), seed=1)
    refused = run("index", "add", index, "dora", recording(voices, 0), "--model", other)
    assert refused.exit_code == 3
    assert "expected model.pt (" in refused.stderr
    assert "whose vectors the index holds, got a model of other weights (" in refused.stderr


def test_model_that_has_moved_is_named_again(run, voices, model, tmp_path):
    moved = shutil.copy(model, tmp_path / "before.pt")
    run("index", "create", tmp_path / "i", "--model", moved)
    after = (tmp_path / "before.pt").rename(tmp_path / "after.pt")
    refused = run("index", "add", tmp_path / "i", "ann", recording(voices, 0))
    assert refused.exit_code == 1
    assert "before.pt: the model of the index is not there any more\nGive --model: the path where" in refused.stderr
    assert run("index", "add", tmp_path / "i", "ann", recording(voices, 0), "--model", after).exit_code == 0


def test_index_of_vectors_enrols_and_searches_them(run, tmp_path):
    file = vector_file(tmp_path / "v.npz")
    assert run("index", "create", tmp_path / "i", "--vectors", file, "--dims", "4", "--json").json["settings"][
        "dims"
    ] == [4, 8]
    added = run("index", "add", tmp_path / "i", "--vectors", file, "--json")
    assert added.json["names"] == ["ann", "bob"]
    assert "does not say which model" in added.stderr
    searched = run("index", "search", tmp_path / "i", "--vectors", file, "-k", "1", "--json")
    assert searched.stderr == ""
    found = searched.json["queries"]
    assert [(each["source"], each["results"][0]["name"]) for each in found] == [
        ("ann/1", "ann"), ("ann/2", "ann"), ("bob/1", "bob"),
    ]  # fmt: skip


def test_search_of_narrow_or_unusable_vectors_is_refused(run, tmp_path):
    run("index", "create", tmp_path / "i", "--vectors", vector_file(tmp_path / "v.npz"))
    narrow = run("index", "search", tmp_path / "i", "--vectors", vector_file(tmp_path / "n.npz", dim=4))
    np.savez(tmp_path / "z.npz", ids=np.array(["a"]), embeddings=np.zeros((1, 8), np.float32))
    zero = run("index", "search", tmp_path / "i", "--vectors", tmp_path / "z.npz")
    assert (narrow.exit_code, zero.exit_code) == (3, 3)
    assert "expected 8 values a vector, got 4" in narrow.stderr


def test_search_of_vectors_of_another_model_is_refused(run, tmp_path):
    ours, theirs = vector_file(tmp_path / "v.npz"), vector_file(tmp_path / "o.npz")
    for path, fingerprint in ((ours, "a" * 8), (theirs, "b" * 8)):
        np.savez(path, **np.load(path), fingerprint=fingerprint)
    run("index", "create", tmp_path / "i", "--vectors", ours)
    refused = run("index", "search", tmp_path / "i", "--vectors", theirs)
    assert refused.exit_code == 3
    assert "expected vectors of the model aaaaaaaa, got those of bbbbbbbb" in refused.stderr


def test_export_writes_vectors_that_an_index_takes_again(run, index, voices, tmp_path):
    run("index", "add", index, "voice0", recording(voices, 0, 2))
    written = run("index", "export", index, "-o", tmp_path / "v.npz", "--json").json
    assert written["files"] == [str(tmp_path / "v.npz")]
    assert list(np.load(tmp_path / "v.npz")["ids"]) == ["voice0/1", "voice1/1", "voice2/1"]
    assert run("index", "export", index, "-o", tmp_path / "v.npz").exit_code == 1
    run("index", "create", tmp_path / "again", "--vectors", tmp_path / "v.npz")
    added = run("index", "add", tmp_path / "again", "--vectors", tmp_path / "v.npz", "--json")
    assert added.json["names"] == ["voice0", "voice1", "voice2"]
    run("index", "export", index, "-o", tmp_path / "r.jsonl", "--recordings", "--where", "number = 0")
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 2


def test_show_prints_paths_near_the_working_directory(run, index, voices, monkeypatch):
    monkeypatch.chdir(voices)
    shown = run("index", "show", index, "voice0")
    assert "speaker0/a/1.wav" in shown.stdout
    assert str(voices) not in shown.stdout
    assert run("index", "show", index, "voice0", "--json").json["recordings"][0]["source"] == str(recording(voices, 0))
