import re
import shutil

import pytest

from mrlspk.config import Config
from mrlspk.config.data import DataConfig
from mrlspk.config.evaluation import EvaluationConfig, TrialListConfig


@pytest.fixture
def models(tmp_path, write_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.pt", "b.pt", "c.pt")):
        write_model(tmp_path / name, seed=seed)
    return "a.pt", "b.pt", "c.pt"


@pytest.fixture
def flags(tiny_corpus):
    return "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root


def test_metrics_are_those_of_eval(run, models, flags):
    alone = {model: run("eval", model, *flags, "--json").json["trials"][0]["results"] for model in models}
    document = run("compare", *models, *flags, "--json").json
    assert document["models"] == list(models)
    (trials,) = document["trials"]
    assert [each["dim"] for each in trials["results"]] == [4, 8]
    for index, width in enumerate(trials["results"]):
        for found, model in zip(width["models"], models, strict=True):
            assert found["model"] == model
            assert all(found[key] == alone[model][index][key] for key in ("eer", "eer_ci", "min_dcf", "min_dcf_ci"))
        assert [(pair["a"], pair["b"]) for pair in width["pairs"]] == [
            ("a.pt", "b.pt"),
            ("a.pt", "c.pt"),
            ("b.pt", "c.pt"),
        ]
        for pair in width["pairs"]:
            expected = alone[pair["b"]][index]["eer"] - alone[pair["a"]][index]["eer"]
            assert pair["delta_eer"] == pytest.approx(expected)


def test_few_speakers_are_compared_one_by_one(run, models, flags):
    (trials,) = run("compare", *models, *flags, "--json").json["trials"]
    width = trials["results"][0]
    assert width["winner"] is None
    assert "at least 20" in trials["intervals"]["note"]
    pair = width["pairs"][0]
    assert (pair["delta_ci"], pair["p_value"], pair["p_holm"]) == (None, None, None)
    assert [each["speaker"] for each in pair["speakers"]] == [f"speaker{number}" for number in range(4)]
    signs = [each["delta"] for each in pair["speakers"]]
    assert pair["signs"]["fewer"] == sum(sign < 0 for sign in signs)
    assert pair["signs"]["more"] == sum(sign > 0 for sign in signs)


def test_table_names_models_and_signs_differences(run, models, flags):
    document = run("compare", *models[:2], *flags, "--json").json
    table = run("compare", *models[:2], *flags).stdout
    assert "A  a.pt" in table
    assert "B  b.pt" in table
    assert "EER % A  EER % B  B − A  B better/worse/equal" in table
    for width in document["trials"][0]["results"]:
        pair = width["pairs"][0]
        signs = "/".join(str(pair["signs"][name]) for name in ("fewer", "more", "equal"))
        assert re.search(rf"{re.escape(format(100 * pair['delta_eer'], '+.2f'))} +{signs} ", table)


@pytest.mark.usefixtures("models")
def test_bare_form_scores_the_lists_of_the_first_model_that_names_any(run, tiny_corpus, write_model, tmp_path):
    entry = TrialListConfig(path=tiny_corpus.trials, audio_root=tiny_corpus.root)
    write_model(tmp_path / "b.pt", config=Config(evaluation=EvaluationConfig(trials=(entry,))))
    outcome = run("compare", "a.pt", "b.pt")
    assert outcome.exit_code == 0
    assert "evaluation.trials of b.pt" in outcome.stdout


def test_validation_trials_of_one_run_are_scored_with_a_warning(run, tiny_corpus, write_model, tmp_path, models):
    config = Config(data=DataConfig(train_dataset=tiny_corpus.root, val_dataset=None))
    model = write_model(tmp_path / "run" / "best.pt", config=config)
    shutil.copy(tiny_corpus.trials, tmp_path / "run" / "validation-trials.txt")
    outcome = run("compare", models[0], model)
    assert outcome.exit_code == 0
    assert "may have been trained on their speakers" in outcome.stderr


def test_validation_trials_need_no_warning_among_models_of_one_run(run, tiny_corpus, write_model, tmp_path):
    config = Config(data=DataConfig(train_dataset=tiny_corpus.root, val_dataset=None))
    names = [write_model(tmp_path / "run" / f"{seed}.pt", config=config, seed=seed) for seed in range(2)]
    shutil.copy(tiny_corpus.trials, tmp_path / "run" / "validation-trials.txt")
    outcome = run("compare", *names)
    assert outcome.exit_code == 0
    assert "validation trials of the run" in outcome.stdout.replace("\n", " ")
    assert "models of other runs" not in outcome.stderr


@pytest.mark.usefixtures("models")
def test_models_of_different_widths_meet_at_the_common_ones(run, flags, write_model, tmp_path):
    write_model(tmp_path / "wide.pt", dims=(8, 16))
    trials = run("compare", "a.pt", "wide.pt", *flags, "--json").json["trials"]
    assert [each["dim"] for each in trials[0]["results"]] == [8]


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["a.pt"], [], "expected two or more models, got 1"),
        (["a.pt", "a.pt"], [], "a.pt is named more than once"),
        (["a.pt", "./a.pt"], [], "are one file"),
        (
            ["a.pt", "odd.pt"],
            [],
            "share no width (a.pt: 4, 8; odd.pt: 3, 6)\nGive --dims 6 and --allow-untrained-dim to",
        ),
        (["a.pt", "odd.pt"], ["--dims", "8"], "--dims, odd.pt"),
        (["a.pt", "odd.pt"], ["--dims", "4"], "not trained for a width of 4"),
        (["a.pt", "b.pt"], ["--audio-root", "."], "2 folders of audio for 1 trial list"),
    ],
)
@pytest.mark.usefixtures("models")
def test_usage_errors_exit_with_2(run, flags, write_model, tmp_path, names, arguments, message):
    write_model(tmp_path / "odd.pt", dims=(3, 6))
    outcome = run("compare", *names, *flags, *arguments)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.usefixtures("models")
def test_untrained_widths_let_any_two_models_meet(run, flags, write_model, tmp_path):
    write_model(tmp_path / "odd.pt", dims=(3, 6))
    outcome = run("compare", "a.pt", "odd.pt", *flags, "--dims", "4", "--allow-untrained-dim", "--json")
    assert [each["dim"] for each in outcome.json["trials"][0]["results"]] == [4]


def test_without_any_trials_the_error_says_how_to_give_them(run, models):
    outcome = run("compare", *models)
    assert outcome.exit_code == 3
    assert "--trials FILE and --audio-root DIR" in outcome.stderr


def test_missing_audio_is_named(run, models, tiny_corpus, flags):
    shutil.rmtree(tiny_corpus.root / "speaker1")
    outcome = run("compare", *models, *flags)
    assert outcome.exit_code == 3
    assert "4 of 16 utterances are not in" in outcome.stderr


@pytest.mark.usefixtures("models")
def test_a_file_that_is_no_checkpoint_fails(run, flags, tmp_path):
    (tmp_path / "text.pt").write_text("no checkpoint")
    outcome = run("compare", "a.pt", "text.pt", *flags)
    assert outcome.exit_code == 1
    assert "text.pt" in outcome.stderr


def test_enough_speakers_give_intervals_tests_and_a_correction(run, models, many_speakers):
    flags = "--trials", many_speakers.trials, "--audio-root", many_speakers.root
    document = run("compare", *models, *flags, "--json").json
    assert document["n_comparisons"] == 6
    pairs = [pair for width in document["trials"][0]["results"] for pair in width["pairs"]]
    assert len(pairs) == 6
    for pair in pairs:
        low, high = pair["delta_ci"]
        assert low <= pair["delta_eer"] <= high
        assert (pair["p_value"] < 0.05) == (low > 0 or high < 0)
        assert pair["p_holm"] >= pair["p_value"]
        assert pair["mcnemar"]["p_value"] <= 1
        assert pair["delta_min_dcf_ci"][0] <= pair["delta_min_dcf"] <= pair["delta_min_dcf_ci"][1]
    table = run("compare", *models[:2], *flags).stdout
    assert f"{pairs[0]['p_value']:.3f}" in table


def test_stored_scores_stand_for_their_model(run, models, flags, tmp_path):
    stored = tmp_path / "a.npz"
    assert run("eval", models[0], *flags, "--scores", stored).exit_code == 0
    from_files = run("compare", *models[:2], *flags, "--json").json["trials"][0]["results"]
    with_stored = run("compare", models[1], stored, *flags, "--json").json["trials"][0]["results"]
    for one, other in zip(from_files, with_stored, strict=True):
        assert one["pairs"][0]["delta_eer"] == -other["pairs"][0]["delta_eer"]


def test_stored_scores_alone_need_neither_models_nor_audio(run, models, flags, tmp_path, tiny_corpus):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for model, path in zip(models, paths, strict=False):
        assert run("eval", model, *flags, "--scores", path).exit_code == 0
    expected = run("compare", *models[:2], *flags, "--json").json["trials"][0]["results"][0]["pairs"][0]["delta_eer"]
    shutil.rmtree(tiny_corpus.root)
    outcome = run("compare", *paths, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["trials"][0]["results"][0]["pairs"][0]["delta_eer"] == expected


def test_models_stand_in_the_order_typed_whatever_they_are(run, models, flags, tmp_path):
    stored = tmp_path / "a.npz"
    assert run("eval", models[0], *flags, "--scores", stored).exit_code == 0
    for names in ([str(stored), models[1]], [models[1], str(stored)]):
        document = run("compare", *names, *flags, "--json").json
        pair = document["trials"][0]["results"][0]["pairs"][0]
        assert document["models"] == [pair["a"], pair["b"]] == names


def test_scores_made_in_another_way_are_told(run, models, flags, tmp_path, tiny_corpus):
    plain, normalised = tmp_path / "a.npz", tmp_path / "an.npz"
    assert run("eval", models[0], *flags, "--scores", plain).exit_code == 0
    norm = ["--score-norm", "as", "--cohort", tiny_corpus.root, "--top-n", 3]
    assert run("eval", models[0], *flags, *norm, "--scores", normalised).exit_code == 0
    outcome = run("compare", plain, normalised, "--json")
    assert outcome.exit_code == 0
    assert "scored in another way" in outcome.stderr
    assert "AS-Norm, top 3, cohort" in outcome.stderr
    assert [outcome.json["scored_as"][str(path)]["score_norm"] for path in (plain, normalised)] == ["none", "as"]
    assert outcome.json["scored_as"][str(normalised)]["top_n"] == 3


def test_audio_of_another_folder_is_reported(run, models, flags, tmp_path, tiny_corpus):
    other, paths = tmp_path / "elsewhere", [tmp_path / "a.npz", tmp_path / "b.npz"]
    shutil.copytree(tiny_corpus.root, other)
    assert run("eval", models[0], *flags, "--scores", paths[0]).exit_code == 0
    assert run("eval", models[1], *flags[:2], "--audio-root", other, "--scores", paths[1]).exit_code == 0
    outcome = run("compare", *paths)
    assert outcome.exit_code == 0
    assert f"from another folder than {paths[0]}: {other}" in outcome.stderr


@pytest.mark.usefixtures("models")
def test_two_priors_are_refused(run, flags):
    outcome = run("compare", "a.pt", "b.pt", *flags, "--p-target", 0.1, "--p-target", 0.2)
    assert outcome.exit_code == 2
    assert "one prior" in outcome.stderr


def test_without_resamples_of_many_speakers_no_signs_are_shown(run, models, many_speakers):
    flags = "--trials", many_speakers.trials, "--audio-root", many_speakers.root
    table = run("compare", *models[:2], *flags, "--resamples", 0).stdout
    assert "no intervals and no winner: not requested" in table
    assert "better/worse/equal" not in table


def test_one_model_under_two_names_is_reported(run, models, flags, tmp_path):
    shutil.copy(models[0], tmp_path / "copy.pt")
    outcome = run("compare", models[0], "copy.pt", *flags)
    assert outcome.exit_code == 0
    assert "have the same weights" in outcome.stderr


def test_other_trials_left_out_are_refused(run, models, flags, tmp_path, tiny_corpus):
    paths = []
    for number, name in enumerate(("1.wav", "2.wav")):
        root = tmp_path / f"root{number}"
        shutil.copytree(tiny_corpus.root, root)
        (root / "speaker0" / "a" / name).unlink()
        paths.append(tmp_path / f"{number}.npz")
        missing = ["--audio-root", root, "--allow-missing", "--scores", paths[-1]]
        assert run("eval", models[number], *flags[:2], *missing).exit_code == 0
    outcome = run("compare", *paths)
    assert outcome.exit_code == 3
    assert "was scored on" in outcome.stderr


def test_other_enrolments_are_refused(run, models, tiny_corpus, tmp_path):
    trials, paths = tmp_path / "model-trials.txt", []
    trials.write_text("1 m speaker0/b/1.wav\n0 m speaker1/b/1.wav\n")
    for number, name in enumerate(("1.wav", "2.wav")):
        enrolments = tmp_path / f"models{number}"
        enrolments.write_text(f"m speaker0/a/{name}\n")
        paths.append(tmp_path / f"{number}.npz")
        flags = ["--trials", trials, "--audio-root", tiny_corpus.root, "--enroll", enrolments, "--scores", paths[-1]]
        assert run("eval", models[number], *flags).exit_code == 0
    assert run("compare", *paths).exit_code == 3


@pytest.mark.parametrize("arguments", [["--trials", "x"], ["--audio-root", "."], ["--allow-missing"]])
def test_stored_scores_reject_trials(run, models, flags, tmp_path, arguments):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for model, path in zip(models, paths, strict=False):
        assert run("eval", model, *flags, "--scores", path).exit_code == 0
    outcome = run("compare", *paths, *arguments)
    assert outcome.exit_code == 2
    assert "stored scores already have their trials" in outcome.stderr


def test_stored_scores_reject_normalisation(run, models, flags, tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for model, path in zip(models, paths, strict=False):
        assert run("eval", model, *flags, "--scores", path).exit_code == 0
    outcome = run("compare", *paths, "--score-norm", "as", "--cohort", ".")
    assert outcome.exit_code == 2
    assert "cannot be normalised or embedded again" in outcome.stderr


def test_scores_of_another_list_are_refused(run, models, flags, tmp_path, tiny_corpus):
    stored, other = tmp_path / "a.npz", tmp_path / "other.txt"
    other.write_text("".join(tiny_corpus.trials.read_text().splitlines(keepends=True)[1:]))
    assert run("eval", models[0], "--trials", other, *flags[2:], "--scores", stored).exit_code == 0
    outcome = run("compare", models[1], stored, *flags)
    assert outcome.exit_code == 3
    assert "was scored on" in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.usefixtures("models")
def test_a_run_is_compared_epoch_by_epoch(run, flags, tmp_path, write_model):
    for epoch in (2, 10, 3):
        write_model(tmp_path / "run" / f"epoch-{epoch:03}.pt", seed=epoch)
    write_model(tmp_path / "run" / "best.pt", seed=3)
    document = run("compare", "run", *flags, "--json").json
    assert [each["epoch"] for each in document["run"]["checkpoints"]] == [2, 3, 10]
    pairs = document["trials"][0]["results"][0]["pairs"]
    assert [(pair["a"], pair["b"]) for pair in pairs] == [
        ("run/epoch-002.pt", "run/epoch-003.pt"),
        ("run/epoch-003.pt", "run/epoch-010.pt"),
    ]
    table = run("compare", "run", *flags).stdout
    assert "better/worse/equal" not in table  # differences are not in the table of a run, nor spoken of below it
    assert [line.split()[0] for line in table.splitlines() if line.startswith(("2 ", "3 ", "10"))][-3:] == [
        "2",
        "3",
        "10",
    ]


@pytest.mark.usefixtures("models")
def test_folder_of_a_head_run_compares_its_candidates(run, write_model, flags, tmp_path):
    for seed, name in enumerate(("best", "start", "trained", "rotation"), start=1):
        write_model(tmp_path / "head" / f"{name}.pt", seed=seed)
    for number in (1, 2):
        write_model(tmp_path / "head" / f"epoch-00{number}.pt", seed=8)
    document = run("compare", "head", *flags, "--json").json
    assert list(document["models"]) == ["head/rotation.pt", "head/start.pt", "head/trained.pt", "head/best.pt"]
    assert "run" not in document or document["run"] is None


@pytest.mark.usefixtures("models")
def test_best_of_a_head_run_is_named_after_the_candidate_it_holds(run, write_model, flags, tmp_path):
    for seed, name in ((1, "rotation"), (2, "trained"), (2, "best")):
        write_model(tmp_path / "head" / f"{name}.pt", seed=seed)
    outcome = run("compare", "head", *flags)
    assert "have the same weights" not in outcome.stderr
    lines = outcome.stdout.splitlines()
    assert lines[:3] == [
        "rotation  head/rotation.pt",
        "trained   head/trained.pt",
        "best      head/best.pt (the scores of trained.pt)",
    ]
    assert {line.partition("  ")[0] for line in lines if " − " in line} == {"trained − rotation"}
