"""Metrics that ``eval`` shows beside the error rates of whole lists."""

import json
import shutil

import numpy as np
import pytest
import soundfile

import mrlspk
from mrlspk.metrics.eer import equal_error_rate


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "run" / "best.pt")


@pytest.fixture
def flags(many_speakers):
    return "--trials", many_speakers.trials, "--audio-root", many_speakers.root


def results_of(outcome):
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.json["trials"][0]["results"]


def test_enough_speakers_give_intervals_around_the_estimates(run, model, flags):
    outcome = run("eval", model, *flags, "--json")
    for result in results_of(outcome):
        assert result["eer_ci"][0] < result["eer"] < result["eer_ci"][1]
        assert result["min_dcf_ci"] == result["dcf"][0]["min_dcf_ci"]
    intervals = outcome.json["trials"][0]["intervals"]
    assert (intervals["n_speakers"], intervals["n_resamples"], intervals["note"]) == (24, 1000, None)
    table = run("eval", model, *flags).stdout
    low, high = results_of(outcome)[0]["eer_ci"]
    assert f"{100 * low:.2f}–{100 * high:.2f}" in table
    assert "95 % intervals over 24 speakers, 1000 resamples" in table


def test_no_resamples_give_no_intervals(run, model, flags):
    outcome = run("eval", model, *flags, "--resamples", 0, "--json")
    assert all(result["eer_ci"] is None for result in results_of(outcome))
    assert outcome.json["trials"][0]["intervals"]["note"] == "not requested"


def test_few_speakers_give_no_intervals_and_the_reason(run, model, tiny_corpus):
    flags = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
    outcome = run("eval", model, *flags, "--json")
    assert all(result["eer_ci"] is None for result in results_of(outcome))
    assert "no intervals: 4 speakers; at least 20 are needed" in run("eval", model, *flags).stdout


def test_thresholds_stay_below_the_requested_false_accept_rates(run, model, flags, many_speakers):
    result = results_of(run("eval", model, *flags, "--far", 0.1, "--far", 0.02, "--json"))[1]
    assert [each["p_fa"] for each in result["false_accepts"]] == [0.1, 0.02]
    scores, is_target = cosines(model, many_speakers)
    for each in result["false_accepts"]:
        assert np.mean(scores[~is_target] >= each["threshold"]) <= each["p_fa"]
        assert np.mean(scores[is_target] < each["threshold"]) == pytest.approx(each["p_miss"], abs=1e-9)


def cosines(model, corpus):
    encoder = mrlspk.load(model)
    vectors = {name: encoder.embed(corpus.root / name).astype(np.float64) for name in corpus.utterance_ids}
    rows = [line.split() for line in corpus.trials.read_text().splitlines()]
    scores = np.array([vectors[enroll] @ vectors[test] for _, enroll, test in rows])
    return scores, np.array([row[0] == "1" for row in rows])


def test_target_names_the_smallest_width_whose_interval_meets_it(run, model, flags):
    first = results_of(run("eval", model, *flags, "--json"))
    top = first[0]["eer_ci"][1]
    found = run("eval", model, *flags, "--target-eer", top + 1e-9, "--json").json["target_eer"]["trials"][0]
    assert (found["dim"], found["reason"]) == (4, None)
    outcome = run("eval", model, *flags, "--target-eer", 1e-6, "--json")
    (missed,) = outcome.json["target_eer"]["trials"]
    assert missed["dim"] is None
    assert "no width" in missed["reason"]


@pytest.mark.slow
def test_durations_crop_the_test_side_and_leave_out_shorter_trials(run, model, flags, many_speakers):
    short = many_speakers.root / "s00" / "a" / "2.wav"
    soundfile.write(short, soundfile.read(short)[0][:6000], 16000)
    outcome = run("eval", model, *flags, "--durations", "0.25,0.5,full", "--json")
    quarter, half, whole = outcome.json["trials"][0]["durations"]
    n_trials = 72 * 71 // 2
    assert [each["seconds"] for each in (quarter, half, whole)] == [0.25, 0.5, None]
    assert [each["n_left_out"] for each in (quarter, half, whole)] == [0, 71, 0]
    assert half["n_target"] + half["n_nontarget"] == n_trials - 71
    assert [each["eer"] for each in whole["results"]] == [each["eer"] for each in results_of(outcome)]
    encoder = mrlspk.load(model)
    rows = [line.split() for line in many_speakers.trials.read_text().splitlines()]
    kept = [row for row in rows if "s00/a/2.wav" not in row]
    scores = []
    for _, enroll, test in kept[:400]:
        samples = soundfile.read(many_speakers.root / test, dtype="float32")[0]
        middle = samples[(len(samples) - 8000) // 2 :][:8000]
        scores.append(encoder.embed(many_speakers.root / enroll) @ encoder.embed(middle))
    assert np.isfinite(scores).all()


def test_enrolment_shorter_than_the_crop_is_left_out(run, model, many_speakers, flags):
    short = many_speakers.root / "s00" / "a" / "0.wav"  # the first of all: on the enrolment side of its trials
    soundfile.write(short, soundfile.read(short)[0][:6000], 16000)
    outcome = run("eval", model, *flags, "--durations", "0.5", "--json")
    assert outcome.json["trials"][0]["durations"][0]["n_left_out"] == 71


def test_wrong_column_is_rejected_before_embedding(run, model, flags, monkeypatch):
    monkeypatch.setattr("mrlspk.workflows.evaluate.score_model", None)
    assert run("eval", model, *flags, "--by", "gender").exit_code == 2


def test_metadata_breaks_the_metrics_down(run, model, flags, many_speakers, tmp_path):
    table = tmp_path / "meta.csv"
    rows = [f"s{speaker:02},{'f' if speaker < 10 else 'm'}" for speaker in range(24)]
    table.write_text("speaker,Gender\n" + "\n".join(rows) + "\n")
    outcome = run("eval", model, *flags, "--metadata", table, "--by", "gender", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (column,) = outcome.json["trials"][0]["breakdown"]
    groups = {group["value"]: group for group in column["groups"]}
    assert list(groups) == ["f", "m", "(different)"]
    assert (groups["f"]["n_target"], groups["f"]["n_nontarget"]) == (30, 10 * 9 // 2 * 9)
    scores, is_target = cosines(model, many_speakers)
    lines = [line.split() for line in many_speakers.trials.read_text().splitlines()]
    both_f = np.array([row[1] < "s10" and row[2] < "s10" for row in lines])
    expected = equal_error_rate(scores[both_f], is_target[both_f])
    assert groups["f"]["results"][1]["eer"] == pytest.approx(expected, abs=1e-9)
    assert groups["(different)"]["results"][1]["eer"] is None


def test_column_of_the_trial_list_breaks_metrics_down(run, model, many_speakers, tmp_path):
    lines = [line.split() for line in many_speakers.trials.read_text().splitlines()]
    rows = [f"{enroll},{test},{label},{'near' if i % 2 else 'far'}" for i, (label, enroll, test) in enumerate(lines)]
    table = tmp_path / "trials.csv"
    table.write_text("enroll,test,target,channel\n" + "\n".join(rows) + "\n")
    outcome = run("eval", model, "--trials", table, "--audio-root", many_speakers.root, "--by", "channel", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    groups = outcome.json["trials"][0]["breakdown"][0]["groups"]
    assert [group["value"] for group in groups] == ["far", "near"]
    assert sum(group["n_target"] + group["n_nontarget"] for group in groups) == len(lines)


def test_normalised_scores_change_with_the_cohort_and_say_so(run, model, flags, tiny_corpus):
    plain = results_of(run("eval", model, *flags, "--json"))
    outcome = run("eval", model, *flags, "--score-norm", "as", "--cohort", tiny_corpus.root, "--top-n", 3, "--json")
    normalised = results_of(outcome)
    assert outcome.json["settings"]["score_norm"] == "as"
    assert outcome.json["settings"]["cohort"]["n"] == 4
    assert [each["threshold"] for each in normalised] != [each["threshold"] for each in plain]
    text = run("eval", model, *flags, "--score-norm", "s", "--cohort", tiny_corpus.root).stdout
    assert "S-Norm with" in text


def test_stored_cohort_gives_the_metrics_of_its_folder(run, model, flags, tiny_corpus, tmp_path):
    stored = tmp_path / "cohort.npz"
    assert run("embed", tiny_corpus.root, "--model", model, "--speech", "all", "-o", stored).exit_code == 0
    norm = ["--score-norm", "as", "--top-n", 3, "--json", "--cohort"]
    of_folder, of_file = (results_of(run("eval", model, *flags, *norm, path)) for path in (tiny_corpus.root, stored))
    for one, other in zip(of_folder, of_file, strict=True):
        assert one["eer"] == pytest.approx(other["eer"], abs=1e-6)
        assert one["threshold"] == pytest.approx(other["threshold"], abs=1e-3)


def test_a_cohort_stored_by_another_model_is_refused(run, model, flags, tiny_corpus, tmp_path, write_model):
    other, stored = write_model(tmp_path / "other.pt", seed=1), tmp_path / "cohort.npz"
    assert run("embed", tiny_corpus.root, "--model", other, "-o", stored).exit_code == 0
    outcome = run("eval", model, *flags, "--score-norm", "as", "--cohort", stored)
    assert outcome.exit_code == 3
    assert "another model" in outcome.stderr


def test_cohort_of_one_speaker_is_rejected_before_embedding(run, model, flags, tiny_corpus, monkeypatch):
    for speaker in range(1, 4):
        shutil.rmtree(tiny_corpus.root / f"speaker{speaker}")
    monkeypatch.setattr("mrlspk.workflows.evaluate.score_model", None)
    outcome = run("eval", model, *flags, "--score-norm", "as", "--cohort", tiny_corpus.root)
    assert outcome.exit_code == 3
    assert "expected at least 2 speakers, got 1" in outcome.stderr


def test_cohort_with_speakers_of_the_trials_is_warned_of(run, model, flags, many_speakers):
    outcome = run("eval", model, *flags, "--score-norm", "s", "--cohort", many_speakers.root)
    assert outcome.exit_code == 0
    assert "24 speakers" in outcome.stderr
    assert "are also in the cohort" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--score-norm", "as"], "needs a cohort"),
        (["--score-norm", "none", "--cohort", "."], "without a score normalisation"),
        (["--cohort", "nowhere"], "without a score normalisation"),
        (["--top-n", "5"], "without a score normalisation"),
        (["--resamples", "1"], "expected 100 to 1,000,000,000, or 0"),
        (["--score-norm", "s", "--cohort", ".", "--top-n", "5"], "whole cohort"),
        (["--durations", "1,x"], "expected seconds such as"),
        (["--durations", "0"], "expected seconds such as"),
        (["--by", "gender"], "no column 'gender'"),
        (["--metadata", "meta.csv"], "given without a column"),
        (["--far", "1"], "between 0 and 1"),
        (["--scores", "scores.txt"], "ends in .npz"),
    ],
)
def test_usage_errors_exit_with_2(run, model, flags, arguments, message):
    outcome = run("eval", model, *flags, *arguments)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert outcome.stdout == ""


def test_missing_audio_is_left_out_on_request_and_counted(run, model, flags, many_speakers):
    (many_speakers.root / "s03" / "a" / "1.wav").unlink()
    outcome = run("eval", model, *flags, "--allow-missing", "--json")
    (trials,) = outcome.json["trials"]
    assert trials["missing"] == {"n_utterances": 1, "n_trials": 71, "first": ["s03/a/1.wav"]}
    assert trials["n_target"] + trials["n_nontarget"] == 72 * 71 // 2 - 71
    assert "71 trials left out: 1 utterances are missing" in run("eval", model, *flags, "--allow-missing").stdout


def test_errors_and_worst_speakers_are_those_of_the_scores(run, model, flags, many_speakers):
    (trials,) = run("eval", model, *flags, "--json").json["trials"]
    errors = trials["errors"]
    assert errors["dim"] == 8
    scores, is_target = cosines(model, many_speakers)
    wrong = np.sort(scores[~is_target & (scores >= errors["threshold"])])[::-1][:10]
    assert [each["score"] for each in errors["false_accepts"]] == pytest.approx(wrong.tolist(), abs=1e-6)
    assert all(each["enroll_id"].startswith("s") for each in errors["misses"])
    assert trials["worst_speakers"]["speakers"]


def test_command_to_reproduce_gives_the_same_metrics(run, model, flags):
    document = run("eval", model, *flags, "--dims", "8", "--p-target", 0.3, "--json", "--quiet").json
    words = document["command_line"].split()
    assert words[:2] == ["mrlspk", "eval"]
    assert "--quiet" not in words
    assert run(*words[1:], "--json").json["trials"] == document["trials"]


def test_enrolment_models_are_scored_as_the_mean_of_their_utterances(run, model, many_speakers, tmp_path):
    models = tmp_path / "models"
    models.write_text("".join(f"m{i:02} s{i:02}/a/0.wav s{i:02}/a/1.wav\n" for i in range(24)))
    trials = tmp_path / "model-trials.txt"
    pairs = [(i, j) for i in range(24) for j in range(24)]
    trials.write_text("".join(f"m{i:02} s{j:02}/a/2.wav {'target' if i == j else 'nontarget'}\n" for i, j in pairs))
    outcome = run("eval", model, "--trials", trials, "--audio-root", many_speakers.root, "--enroll", models, "--json")
    (result,) = [each for each in results_of(outcome) if each["dim"] == 8]
    encoder = mrlspk.load(model)
    vectors = {
        name: encoder.embed(many_speakers.root / name).astype(np.float64) for name in many_speakers.utterance_ids
    }
    scores = []
    for i, j in pairs:
        voice = vectors[f"s{i:02}/a/0.wav"] + vectors[f"s{i:02}/a/1.wav"]
        scores.append(voice @ vectors[f"s{j:02}/a/2.wav"] / np.linalg.norm(voice))
    expected = equal_error_rate(np.array(scores), np.array([i == j for i, j in pairs]))
    assert result["eer"] == pytest.approx(expected, abs=1e-6)


def test_scores_written_are_those_of_the_figures(run, model, flags, tmp_path):
    path = tmp_path / "scores.npz"
    document = run("eval", model, *flags, "--scores", path, "--json").json
    with path.open("rb") as file, np.load(file) as arrays:
        described = json.loads(str(arrays["lists"]))
        eers = [equal_error_rate(column, arrays["is_target_0"]) for column in arrays["scores_0"].T]
    assert eers == [each["eer"] for each in document["trials"][0]["results"]]
    assert described["lists"][0]["sha256"] == document["trials"][0]["sha256"]
