"""``mrlspk verify`` on recordings with pauses: which speech it embeds, and what it does not decide."""

import json

import numpy as np
import pytest
import soundfile

from factories import RATE, write_voices
from integration.conftest import TinyCorpus
from mrlspk.data.speech.energy import EnergyDetector


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "best.pt")


@pytest.fixture
def corpus(tmp_path):
    """Three voices of 1.5 s, two files each."""
    root = write_voices(tmp_path / "corpus", 3, sessions=("a",), seconds=1.5, syllables=True)
    corpus = TinyCorpus(root, tmp_path / "trials.txt")
    corpus.write_all_trials()
    return corpus


@pytest.fixture
def pair(corpus):
    return corpus.root / "speaker0/a/1.wav", corpus.root / "speaker1/a/1.wav"


@pytest.fixture
def calibrate(run, model, corpus):
    """Calibrate the model on all trials of the corpus; return the written file."""

    def command(*arguments):
        trials = "--trials", corpus.trials, "--audio-root", corpus.root, "--dims", 8
        outcome = run("calibrate", model, *trials, "--far", 0.5, *arguments, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        return model.with_name("best.calibration.json")

    return command


@pytest.fixture
def verify(run, model):
    def command(*arguments):
        return run("verify", *arguments, "--model", model, "--dims", 8, "--json")

    return command


def hold(path, seconds, to):
    """Write a recording with silence behind it."""
    samples, _ = soundfile.read(path)
    soundfile.write(to, np.concatenate([samples, np.zeros(round(seconds * RATE))]), RATE)
    return to


def test_calibration_names_its_detector_and_a_whole_one_nothing_new(calibrate):
    whole = json.loads(calibrate().read_text())
    assert whole.keys().isdisjoint({"speech", "speech_detector", "channel"})
    spoken = json.loads(calibrate("--speech", "auto", "--force").read_text())
    assert (spoken["speech"], spoken["speech_detector"]) == ("auto", EnergyDetector.version)


def test_speech_is_that_of_the_calibration_and_else_auto(verify, pair, calibrate):
    version = EnergyDetector.version
    for arguments, found in (
        (None, ("auto", version)),
        (("--speech", "all"), ("all", None)),
        (("--speech", "auto", "--force"), ("auto", version)),
    ):
        if arguments is not None:
            calibrate(*arguments)
        document = verify(*pair).json
        assert (document["speech"], document["speech_detector"]) == found
        assert [each["speech_seconds"] for each in document["files"]] == pytest.approx([1.5, 1.5], abs=0.2)


def test_all_audio_is_embedded_on_request_without_a_calibration(verify, pair):
    document = verify(*pair, "--speech", "all").json
    assert (document["speech"], document["speech_detector"]) == ("all", None)
    assert [each["speech_seconds"] for each in document["files"]] == [None, None]


def test_silence_behind_a_recording_hardly_moves_its_score(verify, pair, calibrate, tmp_path):
    calibrate("--speech", "auto")
    (plain,) = verify(*pair).json["scores"]
    (padded,) = verify(pair[0], hold(pair[1], 20, tmp_path / "hold.wav")).json["scores"]
    assert padded["cosine"] == pytest.approx(plain["cosine"], abs=0.05)
    assert padded["same"] == plain["same"]


@pytest.mark.parametrize(("fitted", "asked"), [("auto", "all"), ("all", "auto")])
def test_another_mode_than_the_calibrations_exits_2(verify, pair, calibrate, fitted, asked):
    path = calibrate("--speech", fitted)
    assert verify(*pair, "--speech", fitted).exit_code == 0
    outcome = verify(*pair, "--speech", asked)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert f"the calibration was fitted with --speech {fitted}, not with --speech {asked}" in outcome.stderr
    flag = "" if asked == "all" else f" --speech {asked}"
    assert f"--trials FILE --audio-root DIR{flag} -o {path} --force" in outcome.stderr


def test_detector_of_another_release_exits_1(verify, pair, calibrate):
    path = calibrate("--speech", "auto")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"speech_detector": "energy-0"}))
    outcome = verify(*pair)
    assert outcome.exit_code == 1
    assert f"fitted with the speech detector energy-0, and this release has {EnergyDetector.version}" in outcome.stderr
    assert "--audio-root DIR --speech auto -o" in outcome.stderr


def test_whole_calibration_decides_nothing_on_mostly_pauses(run, model, verify, pair, calibrate, tmp_path):
    calibrate()
    (plain,) = verify(*pair).json["scores"]
    assert plain["same"] is not None
    recordings = pair[0], hold(pair[1], 3, tmp_path / "hold.wav")
    outcome = verify(*recordings)
    (score,) = outcome.json["scores"]
    assert (outcome.exit_code, score["same"], score["llr"]) == (0, None, None)
    assert score["threshold"] == plain["threshold"]
    reason = "and the calibration is of whole recordings; calibrate the model with --speech auto"
    assert outcome.json["undecided"].endswith(reason)
    assert outcome.json["undecided"].startswith("only 1.")
    assert f"warning: no decision: {outcome.json['undecided']}" in outcome.stderr
    assert outcome.json["warnings"] == [f"no decision: {outcome.json['undecided']}"]
    assert outcome.json["undecided"] in run("verify", *recordings, "--model", model, "--dims", 8).stdout
    calibrate("--speech", "auto", "--force")
    assert verify(*recordings).json["undecided"] is None


@pytest.mark.parametrize("mode", ["auto", "all"])
def test_less_than_a_second_of_speech_gets_no_decision(verify, pair, calibrate, tmp_path, mode):
    calibrate("--speech", mode)
    samples, _ = soundfile.read(pair[1])
    soundfile.write(tmp_path / "short.wav", samples[: round(0.7 * RATE)], RATE)
    outcome = verify(pair[0], tmp_path / "short.wav")
    assert outcome.exit_code == 0
    assert outcome.json["scores"][0]["same"] is None
    assert "short.wav is speech; a decision needs 1 s" in outcome.json["undecided"]


@pytest.mark.parametrize("mode", ["auto", "all"])
def test_noise_without_speech_gets_no_decision(verify, pair, calibrate, tmp_path, mode):
    calibrate("--speech", mode)
    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).normal(size=2 * RATE), RATE)
    outcome = verify(pair[0], tmp_path / "noise.wav")
    assert outcome.exit_code == 0
    assert outcome.json["scores"][0]["same"] is None
    assert outcome.json["undecided"] == f"{tmp_path / 'noise.wav'} holds no speech"


@pytest.fixture
def callers(shared, tmp_path):
    """Two different speakers: ten seconds of speech and a minute of silence each."""
    files = []
    for name in ("ls01688/142285/00001", "ls02609/156975/00003"):
        samples, rate = soundfile.read(shared / "speech" / "test" / f"{name}.wav", frames=10 * RATE)
        assert rate == RATE
        files.append(tmp_path / f"{name[:7]}.wav")
        soundfile.write(files[-1], np.concatenate([samples, np.zeros(60 * RATE)]), RATE)
    return files


@pytest.mark.slow
@pytest.mark.usefixtures("speech_cache")
def test_two_callers_on_hold_are_not_accepted_as_one(run, shared, tmp_path, callers):
    model, root = shared / "pretrained" / "redimnet-small-speech.pt", shared / "speech" / "test"
    speakers = {"ls01998": "15444", "ls02033": "164914", "ls02414": "128291"}
    names = [f"{speaker}/{chapter}/0000{n}.wav" for speaker, chapter in speakers.items() for n in (2, 4, 8)]
    pairs = [f"{int(a[:7] == b[:7])} {a} {b}\n" for a in names for b in names if a < b]
    (tmp_path / "trials.txt").write_text("".join(pairs))
    found = {}
    for mode in ("auto", "all"):
        out = tmp_path / f"{mode}.json"
        fit = "--trials", tmp_path / "trials.txt", "--audio-root", root, "--far", 0.5, "--speech", mode, "-o", out
        assert run("calibrate", model, *fit).exit_code == 0
        found[mode] = run("verify", *callers, "--model", model, "--calibration", out, "--json").json
    assert {each["same"] for each in found["auto"]["scores"]} == {False}
    assert found["auto"]["undecided"] is None
    assert {each["same"] for each in found["all"]["scores"]} == {None}
    assert "of 70.0 s" in found["all"]["undecided"]
    assert all(each["cosine"] > found["all"]["scores"][0]["threshold"] for each in found["all"]["scores"])
