"""``mrlspk calibrate``: what is fitted, where it is kept, what is refused."""

import json
import shutil

import numpy as np
import pytest

import mrlspk
from mrlspk.metrics.cllr import cllr


@pytest.fixture
def model(tmp_path, write_model, monkeypatch):
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    return write_model(tmp_path / "run" / "best.pt")


@pytest.fixture
def flags(tiny_corpus):
    return "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root


def cosines(model, corpus, dim):
    """Return the cosine of each trial, embedded one by one, and which are target trials."""
    rows = [line.split() for line in corpus.trials.read_text().splitlines()]
    encoder = mrlspk.load(model)
    vectors = {name: encoder.embed(corpus.root / name, dim=dim) for name in corpus.utterance_ids}
    scores = np.array([vectors[enroll] @ vectors[test] for _, enroll, test in rows], dtype=np.float64)
    return scores, np.array([row[0] == "1" for row in rows])


def test_ratios_and_rates_are_those_of_the_trials(run, model, tiny_corpus, flags):
    outcome = run("calibrate", model, *flags, "--far", 0.1, "--json")
    assert outcome.exit_code == 0
    assert (outcome.json["command"], outcome.json["n_target"], outcome.json["n_nontarget"]) == ("calibrate", 24, 96)
    assert outcome.json["seconds_range"] == [0.5, 0.5]
    for result, dim in zip(outcome.json["results"], (4, 8), strict=True):
        scores, is_target = cosines(model, tiny_corpus, dim)
        assert result["dim"] == dim
        bounds = -np.log(24 + 1), np.log(96 + 1)
        llrs = np.clip(result["scale"] * scores + result["offset"], *bounds)
        assert cllr(llrs, is_target) == pytest.approx(result["cllr"], abs=1e-4)
        assert result["min_cllr"] <= result["cllr"]
        assert [each["p_target"] for each in result["dcf"]] == [0.01, 0.05]
        assert all(each["min_dcf"] <= each["act_dcf"] for each in result["dcf"])
        assert result["dcf"][0]["llr_threshold"] == pytest.approx(np.log(99))
        (tenth,) = result["false_accepts"]
        assert tenth["p_fa"] == np.mean(scores[~is_target] >= tenth["threshold"]) <= 0.1
        assert tenth["p_miss"] == np.mean(scores[is_target] < tenth["threshold"])


def test_missing_audio_is_refused_with_flags_of_calibrate_alone(run, model, tiny_corpus, tmp_path):
    outcome = run("calibrate", model, "--trials", tiny_corpus.trials, "--audio-root", tmp_path)
    assert outcome.exit_code == 3
    assert "relative to with --audio-root." in outcome.stderr
    assert "--allow-missing" not in outcome.stderr


def test_file_beside_the_checkpoint_says_what_it_was_fitted_on(run, model, tiny_corpus, flags):
    outcome = run("calibrate", model, *flags, "--json")
    path = model.with_name("best.calibration.json")
    assert outcome.json["path"] == str(path)
    content = json.loads(path.read_text())
    assert content["fingerprint"] == outcome.json["fingerprint"]
    (trials,) = content["trials"]
    assert trials["speakers"] == ["speaker0", "speaker1", "speaker2", "speaker3"]
    assert (trials["path"], trials["n_target"], trials["n_nontarget"]) == (str(tiny_corpus.trials), 24, 96)
    assert [each["dim"] for each in content["widths"]] == [4, 8]


def test_table_shows_what_json_does(run, model, flags):
    results = run("calibrate", model, *flags, "--far", 0.1, "--json").json["results"]
    table = run("calibrate", model, *flags, "--far", 0.1, "--force").stdout
    for result in results:
        assert f"{result['cllr']:.4f}" in table
        assert f"{result['dcf'][1]['threshold']:.4f}" in table
        assert f"{100 * result['false_accepts'][0]['p_miss']:.2f}" in table
    assert "on the trials that it was fitted on" in table


def test_calibration_is_not_overwritten_without_force(run, model, flags, tmp_path):
    assert run("calibrate", model, *flags, "-o", tmp_path / "new" / "x.json").exit_code == 0
    path = model.with_name("best.calibration.json")
    path.write_text("precious")
    outcome = run("calibrate", model, *flags)
    assert (outcome.exit_code, path.read_text()) == (1, "precious")
    assert "--force" in outcome.stderr
    assert run("calibrate", model, *flags, "--force").exit_code == 0
    assert path.read_text() == (tmp_path / "new" / "x.json").read_text()


def test_lists_are_fitted_together(run, model, flags, tiny_corpus, tmp_path):
    second = tmp_path / "again.txt"
    second.write_text("".join(reversed(tiny_corpus.trials.read_text().splitlines(keepends=True))))
    once = run("calibrate", model, *flags, "--json").json
    both = run("calibrate", model, *flags, "--trials", second, "--force", "--json").json
    assert (both["n_target"], both["n_nontarget"]) == (48, 192)
    assert [each["path"] for each in both["trials"]] == [str(tiny_corpus.trials), str(second)]
    assert both["results"][1]["scale"] == pytest.approx(once["results"][1]["scale"], rel=1e-6)


def test_repeated_list_exits_3(run, model, flags, tiny_corpus, tmp_path):
    again = shutil.copy(tiny_corpus.trials, tmp_path / "again.txt")
    outcome = run("calibrate", model, *flags, "--trials", again)
    assert outcome.exit_code == 3
    assert f"again.txt: has the same trials as {tiny_corpus.trials}" in outcome.stderr
    other = shutil.copytree(tiny_corpus.root, tmp_path / "noisy")
    roots = "--audio-root", tiny_corpus.root, "--audio-root", other
    trials = "--trials", tiny_corpus.trials, "--trials", again
    assert run("calibrate", model, *trials, *roots).exit_code == 0


def test_prior_at_which_one_error_outweighs_all_is_warned_of(run, model, flags):
    stderr = run("calibrate", model, *flags, "--p-target", 0.5, "--p-target", 0.01, "--p-target", 0.99).stderr
    assert "at prior 0.01 a single false accept (of 96 trials) costs more than deciding without scores" in stderr
    assert "at prior 0.99 a single miss (of 24 trials) costs more than deciding without scores" in stderr
    assert "at a prior of 0.5" not in stderr


def test_flags_of_no_normalisation_exit_2(run, model, flags):
    outcome = run("calibrate", model, *flags, "--top-n", 3)
    assert outcome.exit_code == 2
    assert "given without a score normalisation" in outcome.stderr


def test_lengths_are_learned_from_cuts(run, model, flags):
    outcome = run("calibrate", model, *flags, "--quality", "duration", "--durations", "0.3,full", "--json")
    assert outcome.exit_code == 0
    assert (outcome.json["quality"], outcome.json["durations"]) == ("duration", [0.3, None])
    assert outcome.json["seconds_range"] == [0.3, 0.5]
    assert (outcome.json["n_target"], outcome.json["n_left_out"]) == (48, 0)
    for result in outcome.json["results"]:
        assert result["duration_weight"] != 0
        assert result["cllr"] <= result["cllr_by_score"] + 0.05  # the regression weighs by 0.01, Cllr by 0.5
        assert {each["threshold"] for each in result["dcf"]} == {None}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--quality", "duration", "--durations", "full"), "the shorter side of every trial is 0.5 s"),
        (("--durations", "0.3,2"), "0 target and 0 non-target trials have both sides of 2 s"),
        (("--far", "0.001"), "a false-accept rate of 0.001 cannot be measured on 96 non-target trials"),
    ],
)
def test_unmeasurable_request_exits_3_and_writes_nothing(run, model, flags, arguments, problem):
    outcome = run("calibrate", model, *flags, *arguments)
    assert outcome.exit_code == 3
    assert problem in outcome.stderr
    assert list(model.parent.iterdir()) == [model]


def test_default_rates_that_cannot_be_measured_are_warned_of(run, model, flags):
    outcome = run("calibrate", model, *flags, "--json")
    assert all(each["false_accepts"] == [] for each in outcome.json["results"])
    assert (
        "a false-accept rate of 0.01 cannot be measured on 96 non-target trials, so it has no threshold"
        in outcome.stderr
    )


def test_few_speakers_are_warned_of(run, model, flags):
    assert "4 speakers, which is few for a calibration" in run("calibrate", model, *flags).stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--trials", "T", "--quality", "loudness"), ("--trials", "T", "--dims", "5"), ("--far", "1")]
)
def test_usage_errors_exit_2(run, model, flags, arguments):
    arguments = [flags[1] if each == "T" else each for each in arguments]
    assert run("calibrate", model, *arguments, *flags[2:]).exit_code == 2


def test_missing_audio_exits_3(run, model, tiny_corpus, tmp_path):
    outcome = run("calibrate", model, "--trials", tiny_corpus.trials, "--audio-root", tmp_path / "nowhere")
    assert outcome.exit_code == 3


def test_normalised_scores_are_calibrated_with_their_cohort_named(run, model, flags, tiny_corpus):
    norm = "--score-norm", "as", "--cohort", tiny_corpus.root, "--top-n", 3
    outcome = run("calibrate", model, *flags, *norm, "--json")
    assert outcome.exit_code == 0
    assert (outcome.json["score_norm"], outcome.json["top_n"]) == ("as", 3)
    assert outcome.json["cohort"]["path"] == str(tiny_corpus.root)
