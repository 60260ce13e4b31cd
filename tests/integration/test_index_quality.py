"""``mrlspk index calibrate``, ``evaluate``, ``tune``, and decisions after a calibration."""

import shutil
from dataclasses import replace

import pytest

import mrlspk
from factories import write_voices
from mrlspk.cli.index import opening
from mrlspk.index import tuning, voice_index
from mrlspk.index.shortlist import ShortlistSpec
from pitch_encoder import pitch_encoder

N_ENROLLED = 21


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A folder of 24 voices with four recordings each, 1.2 s long."""
    root = tmp_path_factory.mktemp("voices")
    return write_voices(root, 24, sessions=("a",), files=("1", "2", "3", "4"), seconds=1.2, syllables=True)


@pytest.fixture(scope="module")
def others(tmp_path_factory, voices):
    """The second and the fourth recording of each."""
    root = tmp_path_factory.mktemp("others")
    for path in voices.rglob("[24].wav"):
        place = root / path.relative_to(voices)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory, voices):
    """An index of 21 of the voices, with the first and the third recording of each."""
    folder = tmp_path_factory.mktemp("index") / "voices"
    with mrlspk.VoiceIndex.create(folder, pitch_encoder()) as index:
        for number in range(N_ENROLLED):
            index.add(f"speaker{number}", *sorted((voices / f"speaker{number}").rglob("[13].wav")))
    return folder


@pytest.fixture
def index(made, tmp_path):
    return shutil.copytree(made, tmp_path / "index")


@pytest.fixture
def ask(run, monkeypatch):
    """Run a command on an index whose model knows voices by their pitch."""
    monkeypatch.setattr(opening, "encoder_loader", lambda **_: lambda _: pitch_encoder())
    return lambda command, *words: run("index", command, *words, "--model", "pitch")


def test_calibrated_index_accepts_its_voices_and_no_stranger(ask, index, others):
    calibrated = ask("calibrate", index, "--json").json
    assert (calibrated["voices"], calibrated["target_voices"], calibrated["n_target"] >= 42) == (21, 21, True)
    assert {each["dim"] for each in calibrated["rates"]} == {8, 16}
    own, stranger = others / "speaker3/a/2.wav", others / "speaker22/a/2.wav"
    found = ask("identify", index, own, "--json").json
    assert (found["decision"], found["name"], found["voices"]) == ("accept", "speaker3", 21)
    assert found["candidates"][0]["llr"] > 0
    assert found["false_accept_rate"] == pytest.approx(0.01)
    assert ask("identify", index, stranger, "--json").json["decision"] == "unknown"
    assert ask("verify", index, "speaker3", own, "--json").json["same"] is True
    assert ask("verify", index, "speaker4", own, "--json").json["same"] is False


def test_stricter_rate_raises_the_threshold(ask, index, others):
    ask("calibrate", index, "--no-cuts")
    at = [
        ask("identify", index, others / "speaker3/a/2.wav", "--false-accept-rate", rate, "--json").json["threshold"]
        for rate in ("0.1", "0.001")
    ]
    assert at[0] < at[1]


def test_calibration_shows_rates_and_how_to_test_it(ask, index, others, run):
    shown = ask("calibrate", index, "--no-cuts", "--dims", "16").stdout
    assert "fitted to 42 recordings against their own voices, of 21 voices" in shown
    assert f"To test it on other recordings: mrlspk index evaluate {index} FOLDER" in shown
    assert "calibrated   yes" in run("index", "stats", index).stdout
    refused = ask("identify", index, others / "speaker3/a/2.wav", "--dim", "8")
    assert (refused.exit_code, "--dim: width 8 of the index is not calibrated" in refused.stderr) == (2, True)


def test_calibration_cuts_recordings_unless_told_not_to(ask, index, monkeypatch):
    monkeypatch.setattr(voice_index, "CUT_SECONDS", (1.0,))
    assert ask("calibrate", index, "--json").json["cut_seconds"] == [1.0]
    assert ask("calibrate", index, "--no-cuts", "--json").json["cut_seconds"] == []


def test_further_recordings_are_fitted_to(ask, index, others):
    alone = ask("calibrate", index, "--no-cuts", "--json").json
    both = ask("calibrate", index, "--no-cuts", "--folder", others, "--json").json
    assert (alone["n_target"], both["n_target"]) == (42, 84)


def test_too_few_voices_to_calibrate_say_how_many(ask, index):
    names = [f"speaker{number}" for number in range(5)]
    with mrlspk.VoiceIndex.open(index) as opened:
        opened.remove(names)
    refused = ask("calibrate", index, "--no-cuts")
    assert refused.exit_code == 3
    assert "a calibration needs 20 voices" in refused.stderr
    assert "got 16 of 16 voices" in refused.stderr


def test_evaluation_counts_speakers_and_writes_a_page(ask, index, others, tmp_path):
    ask("calibrate", index, "--no-cuts")
    done = ask("evaluate", index, others, "--report", tmp_path / "page", "--json")
    assert done.json["enrolled"] == {"n_queries": 42, "n_speakers": 21}
    assert done.json["unknown"] == {"n_queries": 6, "n_speakers": 3}
    assert [each["dim"] for each in done.json["results"]] == [8, 16]
    assert done.json["results"][-1]["decisions"][0]["false_accept_rate"] == pytest.approx(0.01)
    assert "svg" in (tmp_path / "page" / "index.html").read_text()
    refused = ask("evaluate", index, others, "--report", tmp_path / "page")
    assert (refused.exit_code, refused.stdout) == (1, "")  # before anything is embedded


def test_evaluation_without_a_calibration_has_rates_only(ask, index, others):
    shown = ask("evaluate", index, others).stdout
    assert "42 recordings of 21 enrolled speakers" in shown
    assert "6 recordings of 3 strangers" in shown
    assert "Decisions" not in shown
    assert f"To get decisions: mrlspk index calibrate {index}" in shown


def test_tune_measures_codes_on_the_voices(run, index):
    tuned = run("index", "tune", index, "--recall", "0.9", "--json").json
    assert {each["type"] for each in tuned["measured"]} == {"bits"}
    assert (tuned["best"], tuned["probes"]["count"]) == (None, 21)
    assert "searched for 21" in run("index", "tune", index).stdout


def test_tune_changes_the_shortlist_unless_it_only_measures(run, index, monkeypatch):
    best = ShortlistSpec("int8", 8, candidates=5)
    measure = tuning.tune
    monkeypatch.setattr(tuning, "tune", lambda *words, **named: replace(measure(*words, **named), best=best))
    measured = run("index", "tune", index, "--dry-run", "--json").json
    assert measured["shortlist"] == measured["before"] != measured["best"]
    assert "now has 8 values as int8 and 5 candidates; before, 32 sign bits" in run("index", "tune", index).stdout
    shortlist = run("index", "stats", index, "--json").json["settings"]["shortlist"]
    assert shortlist == {"type": "int8", "dim": 8, "candidates": 5}
    assert "has the fastest already" in run("index", "tune", index).stdout
