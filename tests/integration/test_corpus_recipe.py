"""A corpus that is no tree of folders, read by a recipe that a plug-in adds."""

import csv

import pytest
import torch
import yaml

from csv_corpus import COLUMNS, CsvCorpus
from factories import tiny_run
from mrlspk.data.corpora import recipe_registry
from mrlspk.data.corpora.recipe_registry import register_recipe

SHORT = "--crop-seconds", 0.4  # the tiny files have half a second


@pytest.fixture
def corpus(tiny_corpus, tmp_path, monkeypatch):
    """The tiny corpus in one folder without subfolders, its speakers named otherwise in a CSV file."""
    monkeypatch.setattr(recipe_registry, "_RECIPES", [])
    register_recipe(CsvCorpus())
    (tmp_path / "audio").mkdir()
    rows = [COLUMNS]
    for number, utterance_id in enumerate(tiny_corpus.utterance_ids):
        speaker, session, _ = utterance_id.split("/")
        name = f"audio/{number:02}.wav"
        (tmp_path / name).write_bytes((tiny_corpus.root / utterance_id).read_bytes())
        rows.append((name, speaker.replace("speaker", "voice-"), session))
    with (tmp_path / "corpus.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "corpus.csv"


def test_data_check_counts_the_speakers_of_the_recipe(run, corpus):
    outcome = run("data", "check", corpus, "--decode", "all", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    report = outcome.json
    assert (report["speakers"], report["utterances"], report["decoded"]) == (4, 16, 16)
    assert (report["seconds"], report["problems"]) == (8, [])


def test_data_check_compares_trials_with_the_recipe(run, corpus, tmp_path):
    trials = tmp_path / "list.txt"
    trials.write_text("1 audio/00.wav audio/01.wav\n1 audio/00.wav audio/04.wav\n0 audio/00.wav audio/99.wav\n")
    problems = run("data", "check", corpus, "--trials", trials, "--json").json["problems"]
    assert [(each["kind"], each["where"]) for each in problems] == [
        ("missing_audio", "audio/99.wav"),
        ("trial_label", f"{trials}: audio/00.wav audio/04.wav"),
    ]


def test_data_check_reports_repeated_ids_and_shared_speakers(run, corpus, tmp_path):
    lines = corpus.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([*lines[:5], lines[1]]) + "\n")
    problems = run("data", "check", other, "--against", corpus, "--json").json["problems"]
    assert [(each["kind"], each["where"]) for each in problems] == [
        ("repeated_id", "audio/00.wav"),
        ("speaker_overlap", "voice-0"),
    ]
    outcome = run("data", "trials", other, "-o", tmp_path / "list.txt")
    assert outcome.exit_code == 3
    assert "other.csv: has the utterance audio/00.wav twice" in outcome.stderr


def test_data_trials_draws_across_sessions_of_the_recipe(run, corpus, tmp_path):
    outcome = run("data", "trials", corpus, "-n", 32, "-o", tmp_path / "list.txt", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (entry,) = outcome.json["trials"]
    assert (entry["n_speakers"], entry["n_target"], entry["n_nontarget"]) == (4, 16, 16)
    with corpus.open(newline="") as file:
        rows = {row["path"]: (row["speaker"], row["session"]) for row in csv.DictReader(file)}
    for line in (tmp_path / "list.txt").read_text().splitlines():
        label, (speaker, session), (other, other_session) = line[0], *map(rows.__getitem__, line[2:].split())
        assert (label == "1") == (speaker == other)
        assert label == "0" or session != other_session


def test_rotation_of_the_recipe_equals_that_of_the_tree(run, corpus, tiny_corpus, write_model, tmp_path):
    model = write_model(tmp_path / "model.pt")
    for name, speech in (("csv", corpus), ("tree", tiny_corpus.root)):
        outcome = run("rotate", model, "--speech", speech, "-o", tmp_path / f"{name}.pt", *SHORT, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert (outcome.json["speakers"], outcome.json["utterances"]) == (4, 16)
    ours, expected = (torch.load(tmp_path / f"{name}.pt")["model"] for name in ("csv", "tree"))
    assert all(torch.equal(values, expected[name]) for name, values in ours.items())


def test_run_trains_on_the_recipe_and_scores_its_trials(run, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_run(corpus)))
    outcome = run("train", "--config", "tiny.yaml", "--set", "logging.run_name=csv", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    scored = run("eval", outcome.json["best_checkpoint"], "--json")
    assert scored.exit_code == 0, scored.stderr
    assert scored.json["trials"][0]["audio_root"] == str(corpus)


def test_cohort_of_the_recipe_has_one_voice_per_speaker(run, corpus, tiny_corpus, write_model, tmp_path):
    model = write_model(tmp_path / "model.pt")
    score = "eval", model, "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root, "--score-norm", "s"
    by_tree, by_recipe = (
        run(*score, "--cohort", cohort, "--json").json["trials"][0]["results"] for cohort in (tiny_corpus.root, corpus)
    )
    assert by_tree == by_recipe


def test_path_that_no_recipe_recognises_is_an_error(run, corpus, tmp_path):
    other = tmp_path / "corpus.txt"
    other.write_text(corpus.read_text())
    outcome = run("data", "check", other)
    assert outcome.exit_code == 3
    assert f"{other}: expected a folder, got a file" in outcome.stderr
