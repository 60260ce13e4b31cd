"""``mrlspk eval --baselines``: a model beside the one that it was made from."""

import csv
import json

import pytest
import torch

from mrlspk.inference import decoding
from report_documents import expected_tables, page_tables

ONE_EPOCH = "--set", "training.num_epochs=1"
HEAD_ALONE = "--set", "training.freeze_backbone_epochs=null"


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture
def base(write_model, tmp_path):
    return write_model(tmp_path / "base.pt", dims=(8,), seed=3)


@pytest.fixture
def train_from(train, tmp_path):
    """Train for an epoch from a model; return the folder of the run."""

    def command(model, *arguments, name="run"):
        outcome = train("--init-from", model, *ONE_EPOCH, *arguments, name=name)
        assert outcome.exit_code == 0, outcome.stderr
        return tmp_path / "checkpoints" / name

    return command


@pytest.fixture
def score(run, tiny_corpus):
    """Run ``eval`` with the list of the tiny corpus."""

    def command(model, *arguments):
        return run("eval", model, "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root, *arguments)

    return command


@pytest.fixture
def baselines_of(score):
    """Return the baselines that ``eval`` prints, by name."""

    def command(model, *arguments):
        outcome = score(model, "--baselines", "--json", *arguments)
        assert outcome.exit_code == 0, outcome.stderr
        return {each["name"]: each["results"] for each in outcome.json["trials"][0]["baselines"]}

    return command


@pytest.fixture
def metrics_of(score):
    """Return what ``eval`` says of a model at widths, whether it was trained for them or not."""

    def command(model, *dims):
        widths = "--dims", ",".join(map(str, dims)), "--allow-untrained-dim"
        outcome = score(model, *widths, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        results = outcome.json["trials"][0]["results"]
        return [{key: each[key] for key in ("dim", "eer", "min_dcf")} for each in results]

    return command


def approx(figures):
    return [pytest.approx(each, abs=1e-9) for each in figures]


def test_head_run_is_compared_with_its_base_model_and_rotation(train_from, base, baselines_of, metrics_of):
    run_dir = train_from(base, *HEAD_ALONE)
    base.unlink()  # the checkpoint holds all that is needed
    found = baselines_of(run_dir / "trained.pt")
    assert [*found] == ["own", "truncation", "rotation"]
    assert found["rotation"] == approx(metrics_of(run_dir / "rotation.pt", 4, 8))
    assert found["own"] == approx(found["truncation"][-1:])
    for name in ("best.pt", "last.pt", "rotation.pt"):
        assert baselines_of(run_dir / name) == found


def test_own_metrics_are_those_of_the_base_model(train_from, base, baselines_of, metrics_of):
    own, truncated = metrics_of(base, 8), metrics_of(base, 2, 4, 8)
    found = baselines_of(train_from(base, *HEAD_ALONE) / "best.pt", "--dims", "2,4,8", "--allow-untrained-dim")
    assert found["own"] == approx(own)
    assert found["truncation"] == approx(truncated)
    assert [each["dim"] for each in found["rotation"]] == [2, 4, 8]


def test_only_widths_of_both_models_are_compared(train_from, base, baselines_of, score):
    wide = train_from(base, *HEAD_ALONE, "--set", "model.matryoshka_dims=[4,12]", name="wide") / "best.pt"
    found = baselines_of(wide)
    assert {name: [each["dim"] for each in results] for name, results in found.items()} == {
        "own": [8],
        "truncation": [4],
        "rotation": [4],
    }
    table = score(wide, "--baselines").stdout
    assert [line.split()[-1] for line in table.splitlines() if line.startswith(("own, trunc", "rotation"))] == ["–"] * 2
    narrow = train_from(base, *HEAD_ALONE, "--set", "model.matryoshka_dims=[4]", name="narrow") / "best.pt"
    assert [[each["dim"] for each in results] for results in baselines_of(narrow).values()] == [[8], [4], [4]]


def test_rotated_model_is_its_own_rotation_baseline(run, base, tiny_corpus, tmp_path, baselines_of, metrics_of):
    rotated = tmp_path / "rotated.pt"
    arguments = "--speech", tiny_corpus.root, "--method", "svd", "--dims", "4"
    assert run("rotate", base, *arguments, "-o", rotated).exit_code == 0
    found = baselines_of(rotated)
    assert found["own"] == approx(metrics_of(base, 8))
    assert found["truncation"] == approx(metrics_of(base, 4, 8))
    assert found["rotation"] == approx(metrics_of(rotated, 4, 8))
    assert run("pretrained", "convert", rotated, "-o", tmp_path / "kept.safetensors").exit_code == 0
    assert baselines_of(tmp_path / "kept.safetensors") == found


def test_model_of_one_width_is_its_own_baseline(base, baselines_of, metrics_of):
    found = baselines_of(base)
    assert [*found] == ["own", "truncation"]
    assert found["own"] == found["truncation"] == approx(metrics_of(base, 8))


def test_fine_tuned_model_is_compared_with_the_file_of_its_base_model(
    run, train_from, base, baselines_of, metrics_of, score, tmp_path
):
    best = train_from(base, "--set", "training.freeze_backbone_epochs=0") / "best.pt"
    assert "own_head" not in load(best)
    own, truncated = metrics_of(base, 8), metrics_of(base, 4, 8)
    found = baselines_of(best)
    assert [*found] == ["own", "truncation", "rotation"]
    assert (found["own"], found["truncation"]) == (approx(own), approx(truncated))
    assert run("pretrained", "convert", best, "-o", tmp_path / "kept.pt").exit_code == 0
    assert baselines_of(tmp_path / "kept.pt") == found
    with base.open("ab") as file:
        file.write(b"more")
    changed = score(best, "--baselines")
    assert changed.exit_code == 1
    assert "is now another file" in changed.stderr
    base.unlink()
    gone = score(best, "--baselines")
    assert gone.exit_code == 1
    assert f"trained from {base}" in gone.stderr
    assert "Restore that file" in gone.stderr


def test_fine_tuned_matryoshka_model_has_no_rotation_baseline(
    train_from, write_model, tmp_path, baselines_of, metrics_of
):
    start = write_model(tmp_path / "start.pt", seed=3)
    found = baselines_of(train_from(start, "--set", "training.freeze_backbone_epochs=0") / "best.pt")
    assert [*found] == ["own", "truncation"]
    assert found["truncation"] == approx(metrics_of(start, 4, 8))


def test_converted_head_run_is_compared_with_its_base_model(run, train_from, base, tmp_path, baselines_of):
    best = train_from(base, *HEAD_ALONE) / "best.pt"
    assert run("pretrained", "convert", best, "-o", tmp_path / "kept.pt").exit_code == 0
    assert "own_head" not in load(tmp_path / "kept.pt")
    for name, results in baselines_of(tmp_path / "kept.pt").items():
        assert results == approx(baselines_of(best)[name])


def test_models_without_a_known_base_model_are_refused(train, write_model, score, tmp_path):
    assert train(*ONE_EPOCH, name="scratch").exit_code == 0
    outcome = score(tmp_path / "checkpoints" / "scratch" / "best.pt", "--baselines")
    assert outcome.exit_code == 1
    assert "trained from random weights" in outcome.stderr
    unknown = score(write_model(tmp_path / "unknown.pt"), "--baselines", "--json")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "does not say which model it was made from" in unknown.stderr
    assert "leave out --baselines" in unknown.stderr


def test_damaged_own_head_is_refused_before_embedding(train_from, base, score, monkeypatch):
    best = train_from(base, *HEAD_ALONE) / "best.pt"
    contents = load(best)
    contents["own_head"]["bias"] = contents["own_head"]["bias"][1:]
    torch.save(contents, best)
    monkeypatch.setattr(decoding, "open_audio", None)
    outcome = score(best, "--baselines")
    assert outcome.exit_code == 1
    assert "own_head is damaged" in outcome.stderr
    contents["rotation"]["matrix"][0][0] += 1
    torch.save(contents, best)
    assert "rotation is damaged" in score(best, "--baselines").stderr


def test_baselines_with_score_normalisation_are_refused(base, score, tiny_corpus):
    outcome = score(base, "--baselines", "--score-norm", "s", "--cohort", tiny_corpus.root)
    assert outcome.exit_code == 2
    assert "--baselines" in outcome.stderr
    assert score(base, "--baselines", "--set", "evaluation.score_norm=as").exit_code == 2


def test_baselines_are_absent_unless_asked_for(base, score):
    assert "baselines" not in score(base, "--json").json["trials"][0]
    assert "own, truncated" not in score(base).stdout


def test_baseline_embeddings_are_cached(train_from, base, baselines_of, monkeypatch):
    best = train_from(base, *HEAD_ALONE) / "best.pt"
    first = baselines_of(best)
    monkeypatch.setattr(decoding, "open_audio", None)
    assert baselines_of(best) == first


def test_table_shows_the_baselines(train_from, base, score):
    best = train_from(base, *HEAD_ALONE) / "best.pt"
    shown = score(best, "--baselines").stdout.splitlines()
    (trials,) = score(best, "--baselines", "--json").json["trials"]
    rates = {each["name"]: [each["eer"] for each in each["results"]] for each in trials["baselines"]}
    rows = {
        "own embedding, 8 values": rates["own"] * 2,
        "own, truncated": rates["truncation"],
        "rotation": rates["rotation"],
        "this model": [each["eer"] for each in trials["results"]],
    }
    assert ["EER", "%", "4", "8"] in [line.split() for line in shown]
    for label, eers in rows.items():
        (line,) = (line for line in shown if line.startswith(label))
        assert line.removeprefix(label).split() == [f"{100 * eer:.2f}" for eer in eers]


def test_report_page_and_csv_hold_the_baselines(train_from, base, score, tmp_path):
    best, report = train_from(base, *HEAD_ALONE) / "best.pt", tmp_path / "report"
    assert score(best, "--baselines", "--report", report).exit_code == 0
    document = json.loads((report / "report.json").read_text())
    (trials,) = document["trials"]
    assert document["command_line"].count("--baselines") == 1
    with (report / "baselines.csv").open() as file:
        rows = [(row["name"], int(row["dim"]), float(row["eer"])) for row in csv.DictReader(file)]
    assert rows == [(each["name"], w["dim"], w["eer"]) for each in trials["baselines"] for w in each["results"]]
    shown = page_tables((report / "index.html").read_text())["baselines-0"]
    assert shown == expected_tables(document)["baselines-0"]
