"""``mrlspk index identify``, ``search`` and ``verify`` of recordings and of vectors."""

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
    return write_recordings(tmp_path_factory.mktemp("speech") / "voices")


@pytest.fixture(scope="module")
def index(tmp_path_factory, model, voices):
    """An index that no test changes."""
    return make_index(tmp_path_factory.mktemp("made") / "index", model, voices)


def test_identify_without_a_calibration_shows_scores_and_the_way(run, index, voices):
    found = run("index", "identify", index, recording(voices, 1), "--json").json
    assert (found["decision"], found["name"], found["false_accept_rate"]) == (None, None, None)
    assert (found["undecided"], found["dim"], found["voices"]) == ("the index has no calibration", 8, 3)
    best = found["candidates"][0]
    assert (best["name"], best["llr"]) == ("voice1", None)
    assert best["score"] == pytest.approx(1, abs=1e-6)
    shown = run("index", "identify", index, recording(voices, 1)).stdout
    assert shown.startswith("no decision: the index has no calibration\n")
    assert f"To get decisions: mrlspk index calibrate {index}" in shown


def test_identify_of_silence_is_null_with_a_warning(run, index, voices):
    found = run("index", "identify", index, voices.parent / "silent.wav", "--json")
    assert (found.exit_code, found.json["decision"], found.json["speech_seconds"]) == (0, None, 0)
    assert "no speech was found" in found.stderr
    assert found.json["undecided"] == "no speech was found"


def test_search_of_silence_shows_scores_with_a_warning(run, index, voices):
    found = run("index", "search", index, voices.parent / "silent.wav", "--json")
    assert (found.exit_code, len(found.json["results"]) > 0) == (0, True)
    assert found.json["warnings"] == [f"{voices.parent / 'silent.wav'}: silent"]


def test_identify_of_several_recordings_has_a_row_each(run, index, voices):
    paths = [recording(voices, 2), recording(voices, 0), voices / "broken.wav"]
    paths[2].write_bytes(b"RIFF")
    found = run("index", "identify", index, *paths, "--json")
    assert found.exit_code == 3
    assert [each["candidates"][:1] for each in found.json["recordings"]][2] == []
    assert [each["candidates"][0]["name"] for each in found.json["recordings"][:2]] == ["voice2", "voice0"]
    assert found.json["recordings"][0]["warnings"][-1] == "the index has no calibration"
    assert "1 of 3 recordings could not be embedded" in found.stderr
    rows = run("index", "identify", index, *paths[:2]).stdout.splitlines()
    assert rows[0].split() == ["recording", "answer", "nearest", "score", "speech"]
    assert rows[1].split()[1:5] == ["no", "decision", "voice2", "1.0000"]


def test_silence_first_leaves_the_way_to_decisions(run, index, voices):
    shown = run("index", "identify", index, voices.parent / "silent.wav", recording(voices, 0)).stdout
    assert "To get decisions: mrlspk index calibrate" in shown


def test_search_of_several_recordings_equals_one_at_a_time(run, index, voices):
    paths = [recording(voices, number, 2) for number in range(3)]
    together = run("index", "search", index, *paths, "-k", "2", "--json").json["queries"]
    alone = [run("index", "search", index, path, "-k", "2", "--json").json["results"] for path in paths]
    assert [len(each) for each in alone] == [2, 2, 2]
    for batched, single in zip(together, alone, strict=True):
        assert [each["name"] for each in batched["results"]] == [each["name"] for each in single]
        expected = pytest.approx([each["score"] for each in single], abs=1e-6)  # the network rounds batches otherwise
        assert [each["score"] for each in batched["results"]] == expected


def test_search_takes_width_filter_and_exactness(run, index, voices):
    path = recording(voices, 1)
    found = run("index", "search", index, path, "--dim", "4", "--where", "number >= 1", "--exact", "--json").json
    assert (found["dim"], found["voices"]) == (4, 2)
    assert [each["name"] for each in found["results"]] == ["voice1", "voice2"]
    assert "the index has no width 5" in run("index", "search", index, path, "--dim", "5").stderr
    assert "no voice fits the filter" in run("index", "search", index, path, "--where", "number = 9").stdout


def test_explained_search_tells_stages_and_recall(run, index, voices):
    found = run("index", "search", index, recording(voices, 1), "--explain", "--json").json
    assert [set(each) for each in found["stages"]] == [{"dim", "type", "candidates", "bytes", "seconds"}]
    assert (found["stages"][0]["bytes"], found["recall"], found["recall_queries"]) == (3 * 8 * 4, 1, 3)
    assert "recall: 1.0000" in run("index", "search", index, recording(voices, 1), "--explain").stdout


def test_verify_scores_one_voice(run, index, voices):
    found = run("index", "verify", index, "voice2", recording(voices, 2), "--json").json
    assert (found["name"], found["same"], found["llr"]) == ("voice2", None, None)
    assert found["score"] == pytest.approx(1, abs=1e-6)
    assert "score  1.0000" in run("index", "verify", index, "voice2", recording(voices, 2)).stdout


def test_vectors_decide_as_the_recordings_they_were_embedded_from(run, index, model, voices, tmp_path):
    paths = [recording(voices, 1), recording(voices, 2, 2), voices.parent / "silent.wav"]
    assert run("embed", *paths, "--model", model, "-o", tmp_path / "v.npz").exit_code == 0
    heard = run("index", "identify", index, *paths, "--json").json["recordings"]
    taken = run("index", "identify", index, "--vectors", tmp_path / "v.npz", "--json").json["recordings"]
    for one, other in zip(heard, taken, strict=True):
        assert [each["name"] for each in one["candidates"]] == [each["name"] for each in other["candidates"]]
        assert other["speech_seconds"] == pytest.approx(one["speech_seconds"], abs=0.01)
        assert other["undecided"] == one["undecided"]
    assert [each["undecided"] for each in taken][1:] == ["the index has no calibration", "no speech was found"]


def test_verify_takes_a_file_of_one_vector(run, index, model, voices, tmp_path):
    run("embed", recording(voices, 2), "--model", model, "-o", tmp_path / "one.npz")
    found = run("index", "verify", index, "voice2", "--vectors", tmp_path / "one.npz", "--json").json
    assert found["score"] == pytest.approx(1, abs=1e-6)
    several = run("index", "verify", index, "voice2", "--vectors", vector_file(tmp_path / "v.npz"))
    assert (several.exit_code, "expected one vector, got 3" in several.stderr) == (3, True)


def test_rows_of_an_npy_file_without_ids_are_numbered(run, index, tmp_path):
    rows = np.load(vector_file(tmp_path / "v.npz"))["embeddings"]
    np.save(tmp_path / "rows.npy", rows)
    found = run("index", "search", index, "--vectors", tmp_path / "rows.npy", "--json").json["queries"]
    assert [each["source"] for each in found] == ["0", "1", "2"]
    (tmp_path / "rows.ids.txt").write_text("a\nb\nc\n")
    found = run("index", "search", index, "--vectors", tmp_path / "rows.npy", "--json").json["queries"]
    assert [each["source"] for each in found] == ["a", "b", "c"]


@pytest.mark.parametrize("command", [("identify",), ("search",), ("verify", "voice0")])
def test_queries_are_either_recordings_or_vectors(run, index, voices, tmp_path, command):
    words = ["index", command[0], index, *command[1:]]
    vectors = "--vectors", vector_file(tmp_path / "v.npz")
    for refused in (run(*words), run(*words, recording(voices, 0), *vectors)):
        assert (refused.exit_code, "expected recordings or vectors" in refused.stderr) == (2, True)
    refused = run(*words, *vectors, "--channel", "left")
    assert (refused.exit_code, "vectors have no channel" in refused.stderr) == (2, True)


@pytest.mark.parametrize(("channel", "voice"), [("left", "voice0"), ("1", "voice1")])
def test_query_takes_a_channel_of_its_own(run, index, voices, tmp_path, channel, voice):
    parties = [soundfile.read(recording(voices, number))[0] for number in range(2)]
    length = min(map(len, parties))
    soundfile.write(tmp_path / "call.wav", np.stack([each[:length] for each in parties], axis=1), RATE)
    words = tmp_path / "call.wav", "--channel", channel, "--json"
    for found in (
        run("index", "identify", index, *words).json["candidates"],
        run("index", "search", index, *words).json["results"],
    ):
        assert found[0]["name"] == voice
        assert found[0]["score"] == pytest.approx(1, abs=0.001)
    assert run("index", "verify", index, voice, *words).json["score"] == pytest.approx(found[0]["score"], abs=1e-6)


def test_best_voices_of_several_queries_are_one_table(run, index, voices):
    paths = [recording(voices, number) for number in (2, 0)]
    rows = [row.split() for row in run("index", "search", index, *paths, "-k", "1").stdout.splitlines()]
    assert rows == [
        ["query", "voice", "score"],
        [str(paths[0]), "voice2", "1.0000"],
        [str(paths[1]), "voice0", "1.0000"],
    ]
    none = run("index", "search", index, *paths, "-k", "1", "--where", "number = 9").stdout
    assert none.count("no voice fits the filter") == 2


def test_identify_shows_as_few_candidates_as_asked_for(run, index, voices):
    found = run("index", "identify", index, recording(voices, 1), "-k", "1", "--json").json
    assert [each["name"] for each in found["candidates"]] == ["voice1"]


@pytest.fixture
def decided(run, tmp_path):
    """A calibrated index of vectors of 25 voices of an unknown model, two of each, and their centres."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((30, 32))
    write_near(tmp_path / "v.npz", centres[:25], rng, "first")
    for command in ("create", "add"):
        assert run("index", command, tmp_path / "i", "--vectors", tmp_path / "v.npz").exit_code == 0
    shown = run("index", "calibrate", tmp_path / "i").stdout
    assert f"mrlspk index evaluate {tmp_path / 'i'} --vectors FILE" in shown
    return tmp_path / "i", centres, rng


def write_near(path, centres, rng, session="new"):
    names = [f"s{speaker}/{session}{number}" for speaker in range(len(centres)) for number in range(2)]
    vectors = np.repeat(centres, 2, axis=0) + 0.3 * rng.standard_normal((len(names), 32))
    np.savez(path, ids=np.array(names), embeddings=vectors.astype(np.float32))
    return names


def test_calibrated_index_of_vectors_decides_on_vectors(run, decided, tmp_path):
    folder, centres, rng = decided
    names = write_near(tmp_path / "q.npz", centres, rng)
    found = run("index", "identify", folder, "--vectors", tmp_path / "q.npz", "--json").json["recordings"]
    expected = [(name, "accept", name.split("/")[0]) for name in names[:50]] + [
        (name, "unknown", None) for name in names[50:]
    ]
    assert [(each["source"], each["decision"], each["name"]) for each in found] == expected


def test_calibrated_index_of_vectors_is_evaluated_on_vectors(run, decided, tmp_path):
    folder, centres, rng = decided
    write_near(tmp_path / "q.npz", centres, rng)
    shown = run("index", "evaluate", folder, "--vectors", tmp_path / "q.npz").stdout
    assert "50 recordings of 25 enrolled speakers\n10 recordings of 5 strangers" in shown
    labels = "".join(f"s{speaker}/new{number} s0\n" for speaker in range(30) for number in range(2))
    (tmp_path / "utt2spk").write_text(labels)
    words = "--vectors", tmp_path / "q.npz", "--speakers", tmp_path / "utt2spk"
    assert "60 of enrolled and 0 of other" in run("index", "evaluate", folder, *words).stderr
    neither = run("index", "evaluate", folder)
    assert (neither.exit_code, "expected recordings or vectors" in neither.stderr) == (2, True)
