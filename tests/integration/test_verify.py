"""``mrlspk verify``: two recordings, with and without a calibration, and bad input."""

import json

import numpy as np
import pytest
import soundfile

import mrlspk
from factories import write_voices
from integration.conftest import TinyCorpus
from mrlspk.evaluation.score_norm import join_cohort

CLOSE = 1e-6
PADDINGS = (0, 24_000), (24_000, 0)  # two parties, one after the other


@pytest.fixture
def model(tmp_path, write_model, monkeypatch):
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    return write_model(tmp_path / "run" / "best.pt")


@pytest.fixture
def tiny_corpus(tmp_path):
    corpus = TinyCorpus(write_voices(tmp_path / "corpus", seconds=1.5, syllables=True), tmp_path / "trials.txt")
    corpus.write_all_trials()
    return corpus


@pytest.fixture
def pair(tiny_corpus):
    return tiny_corpus.root / "speaker0/a/1.wav", tiny_corpus.root / "speaker1/a/1.wav"


@pytest.fixture
def calibrate(run, model, tiny_corpus):
    """Calibrate the model on the tiny corpus; return what the command printed."""

    def command(*arguments):
        trials = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
        outcome = run("calibrate", model, *trials, "--far", 0.1, *arguments, "--json")
        assert outcome.exit_code == 0
        return outcome.json

    return command


def test_without_a_calibration_there_is_a_cosine_and_no_decision(run, model, pair):
    outcome = run("verify", *pair, "--model", model, "--json")
    assert outcome.exit_code == 0
    assert (outcome.json["command"], outcome.json["calibration"], outcome.json["decision"]) == ("verify", None, None)
    encoder = mrlspk.load(model)
    for score, dim in zip(outcome.json["scores"], (4, 8), strict=True):
        assert score["dim"] == dim
        assert score["cosine"] == pytest.approx(encoder.similarity(*pair, dim=dim), abs=CLOSE)
        assert score["threshold"] is score["same"] is score["llr"] is None
    assert [each["seconds"] for each in outcome.json["files"]] == [1.5, 1.5]
    assert [each["path"] for each in outcome.json["files"]] == list(map(str, pair))


def test_without_a_calibration_the_command_is_shown(run, model, pair):
    outcome = run("verify", *pair, "--model", model)
    assert outcome.exit_code == 0
    assert "no decision: this model has no calibration" in outcome.stdout
    assert f"mrlspk calibrate {model} --trials FILE --audio-root DIR" in outcome.stdout


def test_decision_is_the_calibrations(run, model, pair, calibrate):
    fitted = calibrate()["results"]
    outcome = run("verify", *pair, "--model", model, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["decision"] == {"p_target": 0.01, "far": None}
    assert outcome.json["calibration"]["path"] == str(model.with_name("best.calibration.json"))
    for score, width in zip(outcome.json["scores"], fitted, strict=True):
        assert score["llr"] == pytest.approx(width["scale"] * score["cosine"] + width["offset"])
        assert score["threshold"] == pytest.approx(width["dcf"][0]["threshold"])
        assert score["same"] == (score["cosine"] >= score["threshold"])


def test_prior_or_measured_rate_moves_the_threshold(run, model, pair, calibrate):
    width = calibrate()["results"][0]
    at_half = run("verify", *pair, "--model", model, "--p-target", 0.5, "--json").json["scores"][0]
    assert at_half["threshold"] == pytest.approx(-width["offset"] / width["scale"])
    assert at_half["same"] == (at_half["llr"] >= 0)
    at_rate = run("verify", *pair, "--model", model, "--far", 0.1, "--json")
    assert at_rate.json["decision"] == {"p_target": None, "far": 0.1}
    assert at_rate.json["scores"][0]["threshold"] == width["false_accepts"][0]["threshold"]


def test_recording_matches_itself(run, model, pair, calibrate):
    calibrate()
    outcome = run("verify", pair[0], pair[0], "--model", model, "--p-target", 0.5, "--dims", 8)
    assert outcome.exit_code == 0
    assert "same speaker (likelihood ratio " in outcome.stdout
    assert "), at width 8\n" in outcome.stdout
    assert "1.0000" in outcome.stdout
    assert "a prior of 0.5 for the same speaker" in outcome.stdout


def test_calibration_by_duration_uses_the_shorter_side(run, model, pair, calibrate, tmp_path):
    width = calibrate("--quality", "duration", "--durations", "0.4,full")["results"][1]
    samples, rate = soundfile.read(pair[1])
    soundfile.write(tmp_path / "short.wav", samples[: int(1.25 * rate)], rate)
    score = run("verify", pair[0], tmp_path / "short.wav", "--model", model, "--json").json["scores"][1]
    bias = width["offset"] + width["duration_weight"] * np.log(1.25)
    assert score["llr"] == pytest.approx(width["scale"] * score["cosine"] + bias)
    assert score["threshold"] == pytest.approx((np.log(99) - bias) / width["scale"])


def test_normalised_scores_take_the_cohort_of_the_calibration(
    run, model, pair, calibrate, tiny_corpus, tmp_path, monkeypatch
):
    calibrate("--score-norm", "s", "--cohort", tiny_corpus.root)
    kinds = []

    def join(request, embeddings):
        kinds.append((request.kind, request.top_n))
        return join_cohort(request, embeddings)

    monkeypatch.setattr("mrlspk.workflows.verify.join_cohort", join)
    score = run("verify", *pair, "--model", model, "--json").json["scores"][1]
    cohort = {speaker: tiny_corpus.root / speaker for speaker in ("speaker0", "speaker1", "speaker2", "speaker3")}
    encoder, sides = mrlspk.load(model), []
    units = {name: [encoder.embed(path) for path in sorted(root.rglob("*.wav"))] for name, root in cohort.items()}
    for path in pair:
        cosines = [
            np.mean(vectors, axis=0) @ encoder.embed(path) / np.linalg.norm(np.mean(vectors, axis=0))
            for vectors in units.values()
        ]
        sides.append((score["cosine"] - np.mean(cosines)) / np.std(cosines))
    assert score["score"] == pytest.approx(np.mean(sides), rel=1e-3)
    assert kinds == [("s", None)]
    assert score["same"] == (score["score"] >= score["threshold"])
    other = tmp_path / "other"
    (tiny_corpus.root / "speaker0").rename(tmp_path / "speaker0")
    tiny_corpus.root.rename(other)
    refused = run(
        "verify", tmp_path / "speaker0/a/1.wav", other / "speaker1/a/1.wav", "--model", model, "--cohort", other
    )
    assert refused.exit_code == 3
    assert "is not the cohort of" in refused.stderr


def test_width_that_was_not_calibrated_is_scored_and_not_decided(run, model, pair, calibrate):
    calibrate("--dims", 8)
    outcome = run("verify", *pair, "--model", model, "--json")
    assert outcome.exit_code == 0
    narrow, wide = outcome.json["scores"]
    assert narrow["same"] is None
    assert wide["same"] is not None
    assert "width 4 is not calibrated, so it has no decision" in outcome.stderr


def test_single_uncalibrated_width_gets_no_decision(run, model, pair, calibrate):
    calibrate("--dims", 8)
    outcome = run("verify", *pair, "--model", model, "--dims", 4)
    assert outcome.exit_code == 0
    assert "no decision: width 4 is not calibrated" in outcome.stdout
    path = model.with_name("best.calibration.json")
    command = f"mrlspk calibrate {model} --trials FILE --audio-root DIR --dims 4,8 -o {path} --force"
    assert command in outcome.stdout
    assert "decided at" not in outcome.stdout
    assert "threshold" not in outcome.stdout
    assert "LLR" not in outcome.stdout
    untrained = run("verify", *pair, "--model", model, "--dims", 4, "--allow-untrained-dim")
    assert f"{command} --allow-untrained-dim" in untrained.stdout


def test_score_at_the_threshold_is_accepted(run, model, pair, calibrate):
    calibrate("--dims", 8)
    path = model.with_name("best.calibration.json")
    score = run("verify", *pair, "--model", model, "--dims", 8, "--json").json["scores"][0]["score"]
    content = json.loads(path.read_text())
    (width,) = content["widths"]
    width["false_accepts"][0] |= {"score": score, "llr": width["scale"] * score + width["offset"]}
    for nudge, same in ((score, True), (np.nextafter(score, 2), False)):
        width["false_accepts"][0]["score"] = nudge
        path.write_text(json.dumps(content))
        (found,) = run("verify", *pair, "--model", model, "--dims", 8, "--far", 0.1, "--json").json["scores"]
        assert (found["threshold"], found["same"]) == (nudge, same)


@pytest.mark.parametrize(
    "change",
    [{"priors": []}, {"scale": 5e-324}, {"scale": 1e308}, {"duration_weight": 1.0}],
)
def test_calibration_that_contradicts_itself_exits_1(run, model, pair, calibrate, change):
    calibrate("--dims", 8)
    path = model.with_name("best.calibration.json")
    content = json.loads(path.read_text())
    content["widths"][0] |= change
    path.write_text(json.dumps(content))
    for flag in ((), ("--json",)):
        outcome = run("verify", *pair, "--model", model, "--dims", 8, *flag)
        assert (outcome.exit_code, outcome.stdout) == (1, "")
        assert "is not a calibration" in outcome.stderr


def test_durations_outside_the_calibration_are_warned_of(run, model, pair, calibrate, tmp_path):
    calibrate()
    one, other = (write_voices(tmp_path / f"{seconds}", 1, seconds=seconds, syllables=True) for seconds in (2, 3))
    outcome = run("verify", one / "speaker0/a/1.wav", other / "speaker0/a/1.wav", "--model", model)
    assert "the shorter recording has 2.0 s; the calibration was fitted on 1.5 to 1.5 s" in outcome.stderr
    assert "is less reliable" not in run("verify", *pair, "--model", model).stderr


def test_decision_on_one_upsampled_recording_is_warned_of(run, model, pair, calibrate, tmp_path):
    narrow = [tmp_path / name for name in ("narrow.wav", "other.wav")]
    for path, source in zip(narrow, pair, strict=True):
        soundfile.write(path, soundfile.read(source)[0][::2], 8000)
    warning = f"only {narrow[0]} is upsampled, which lowers the score"
    assert warning not in run("verify", narrow[0], pair[1], "--model", model).stderr  # nothing is decided
    calibrate()
    assert warning in run("verify", narrow[0], pair[1], "--model", model).stderr
    assert "is upsampled" not in run("verify", *narrow, "--model", model).stderr


def test_call_with_a_party_on_each_channel_is_warned_of(run, model, pair, tmp_path):
    call = tmp_path / "call.wav"
    parties = [np.pad(soundfile.read(path)[0], padding) for path, padding in zip(pair, PADDINGS, strict=True)]
    soundfile.write(call, np.stack(parties, axis=1), 16000)
    warned = run("verify", call, pair[0], "--model", model)
    assert f"channels differ in {call}: choose --channel left or --channel right" in warned.stderr
    assert "channels differ" not in run("verify", call, pair[0], "--model", model, "--channel", "left").stderr
    assert "channels differ in call.wav: embed with --channel each" in run("embed", tmp_path, "--model", model).stderr


def test_folder_is_not_called_a_missing_file(run, model, pair, tmp_path):
    outcome = run("verify", pair[0], tmp_path, "--model", model)
    assert (outcome.exit_code, "expected an audio file, got a folder" in outcome.stderr) == (3, True)


def test_calibration_of_another_model_is_rejected(run, model, pair, calibrate, write_model):
    calibrate()
    write_model(model, seed=1)
    outcome = run("verify", *pair, "--model", model)
    assert outcome.exit_code == 1
    assert "belongs to another model" in outcome.stderr
    assert f"mrlspk calibrate {model} --trials FILE" in outcome.stderr


def test_decision_without_a_calibration_exits_1(run, model, pair):
    for flag in (("--p-target", 0.1), ("--far", 0.01)):
        outcome = run("verify", *pair, "--model", model, *flag)
        assert outcome.exit_code == 1
        assert "this model has no calibration" in outcome.stderr
    outcome = run("verify", *pair, "--model", model, "--calibration", "absent.json")
    assert outcome.exit_code == 1
    assert "absent.json: cannot be read" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--p-target", 0.1, "--far", 0.1), "either a prior or a false-accept rate"),
        (("--far", 0.3), "a false-accept rate of 0.3 was not measured"),
        (("--p-target", 1.5), "expected a share between 0 and 1"),
        (("--dims", 5), "was not trained for a width of 5"),
        (("--dims", 16), "so it has no width 16"),
        (("--cohort", "somewhere"), "the scores are not normalised"),
    ],
)
def test_usage_errors_exit_2(run, model, pair, calibrate, arguments, problem):
    calibrate()
    outcome = run("verify", *pair, "--model", model, *arguments)
    assert outcome.exit_code == 2
    assert problem in outcome.stderr


def test_recordings_that_cannot_be_used_exit_3_and_are_all_named(run, model, pair, tmp_path):
    soundfile.write(tmp_path / "stub.wav", np.full(200, 0.1), 16000)
    (tmp_path / "text.wav").write_text("no audio")
    outcome = run("verify", tmp_path / "stub.wav", tmp_path / "absent.wav", "--model", model, "--json")
    assert (outcome.exit_code, outcome.stdout) == (3, "")
    assert "stub.wav: too short: 200 samples" in outcome.stderr
    assert "absent.wav" in outcome.stderr
    assert run("verify", tmp_path / "text.wav", pair[0], "--model", model).exit_code == 3


def test_silence_is_scored_with_a_warning(run, model, pair, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 16000)
    outcome = run("verify", tmp_path / "silence.wav", pair[0], "--model", model, "--json")
    assert outcome.exit_code == 0
    assert [each["warnings"] for each in outcome.json["files"]] == [["silent"], []]
    assert "silent" in run("verify", tmp_path / "silence.wav", pair[0], "--model", model).stdout


@pytest.mark.parametrize("silent", [(0,), (1,), (0, 1)], ids=["first", "second", "both"])
def test_silence_gets_no_decision(run, model, pair, calibrate, tmp_path, silent):
    calibrate()
    recordings = list(pair)
    for side in silent:
        recordings[side] = tmp_path / f"silence{side}.wav"
        soundfile.write(recordings[side], np.zeros(8000), 16000)
    outcome = run("verify", *recordings, "--model", model, "--json")
    assert outcome.exit_code == 0
    for score in outcome.json["scores"]:
        assert score["same"] is score["llr"] is None
        assert score["threshold"] is not None
    names = " and ".join(str(recordings[side]) for side in silent)
    assert outcome.json["undecided"] == f"{names} {'hold' if len(silent) > 1 else 'holds'} no speech"
    assert "no decision" in outcome.stderr
    people = run("verify", *recordings, "--model", model)
    assert f"no decision: {names}" in people.stdout
    assert "times as likely" not in people.stdout
    assert "decided at" not in people.stdout
    assert "LLR" not in people.stdout


def test_what_can_be_decided_leaves_nothing_undecided(run, model, pair, calibrate):
    assert run("verify", *pair, "--model", model, "--json").json["undecided"] is None
    calibrate()
    assert run("verify", *pair, "--model", model, "--json").json["undecided"] is None
