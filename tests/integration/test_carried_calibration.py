"""A calibration goes with its model through ``convert``, ``add`` and ``export``, and ``inspect`` shows it."""

import json
import shutil

import pytest

from factories import model_card, write_tiny_model
from integration.test_verify_ranges import RANGES


@pytest.fixture
def model(tmp_path, run, tiny_corpus):
    """A calibrated model."""
    path = write_tiny_model(tmp_path / "run" / "best.pt", (4, 8))
    lists = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
    assert run("calibrate", path, *lists).exit_code == 0
    return path


def content(path):
    return json.loads(path.read_text())


def test_converted_model_is_calibrated_as_before(run, model, tmp_path):
    expected = content(model.with_name("best.calibration.json"))
    for name in ("other.pt", "other.safetensors"):
        outcome = run("pretrained", "convert", model, "-o", tmp_path / name, "--force", "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.json["calibration"] == str(tmp_path / "other.calibration.json")
        assert content(tmp_path / "other.calibration.json") == expected
    beside = run("pretrained", "convert", model, "-o", model.with_name("best.safetensors"), "--json")
    assert (beside.exit_code, beside.json["calibration"]) == (0, str(model.with_name("best.calibration.json")))


def test_calibration_that_is_there_needs_force(run, model, tmp_path):
    (tmp_path / "other.calibration.json").write_text("mine")
    refused = run("pretrained", "convert", model, "-o", tmp_path / "other.pt")
    assert (refused.exit_code, (tmp_path / "other.pt").exists()) == (1, False)
    assert "other.calibration.json: exists" in refused.stderr
    assert (tmp_path / "other.calibration.json").read_text() == "mine"


def test_calibration_of_another_model_is_not_carried(run, model, tmp_path):
    write_tiny_model(model, (4, 8), seed=1)
    for command in (("convert", model, "-o", tmp_path / "other.pt"), ("add", model, "--name", "mine")):
        refused = run("pretrained", *command)
        assert (refused.exit_code, "belongs to another model" in refused.stderr) == (1, True)
    assert not (tmp_path / "other.pt").exists()
    inspected = run("pretrained", "inspect", model, "--json").json["calibration"]
    assert inspected["path"] is None
    assert "belongs to another model" in inspected["problem"]


def test_added_model_is_calibrated_and_a_replaced_one_is_not(run, model, tmp_path):
    outcome = run("pretrained", "add", model, "--name", "mine", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    inspected = run("pretrained", "inspect", "mine", "--json").json["calibration"]
    assert inspected["path"] == outcome.json["calibration"]
    assert (inspected["dims"], inspected["n_target"], inspected["problem"]) == ([4, 8], 24, None)
    assert "widths 4, 8, fitted on 24 target and 96 non-target trials" in run("pretrained", "inspect", "mine").stdout
    bare = write_tiny_model(tmp_path / "bare.pt", (4, 8), seed=1)
    replaced = run("pretrained", "add", bare, "--name", "mine", "--force", "--json")
    assert replaced.json["calibration"] is None
    assert "is removed: it was of the model that is replaced" in replaced.stderr
    assert run("pretrained", "inspect", "mine", "--json").json["calibration"] is None


def test_exports_hold_the_calibration_and_the_ranges_or_have_it_beside(run, model, tmp_path, tiny_corpus):
    expected = content(model.with_name("best.calibration.json"))
    weights = run("export", model, "-o", tmp_path / "weights.safetensors")
    assert weights.exit_code == 0, weights.stderr
    assert content(tmp_path / "weights.calibration.json") == expected
    carded = write_tiny_model(tmp_path / "carded.pt", (4, 8), card=model_card(dims=(4, 8), score_ranges=RANGES).entry())
    shutil.copy(model.with_name("best.calibration.json"), tmp_path / "carded.calibration.json")
    graph = tmp_path / "graphs" / "carded.onnx"
    exported = run("export", carded, "-o", graph)
    assert exported.exit_code == 0, exported.stderr
    shown = run("pretrained", "inspect", graph)
    assert "included: widths 4, 8, fitted on 24 target and 96 non-target trials" in shown.stdout
    assert run("pretrained", "inspect", graph, "--json").json["score_ranges"] == RANGES
    file = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    verified = run("verify", file, file, "--model", graph, "--json").json
    assert verified["calibration"]["path"] == str(graph)
    assert verified["score_ranges"] == RANGES


def test_inspect_says_which_head_and_recipe_a_checkpoint_holds(run, tmp_path):
    results = [{"dim": 4, "eer": 0.25, "min_dcf": 0.9}, {"dim": 8, "eer": 0.125, "min_dcf": 0.5}]
    refit = {"speakers": 38, "held_out_model": "rotation.pt"}
    path = write_tiny_model(
        tmp_path / "best.pt",
        (4, 8),
        card=model_card(dims=(4, 8), results=results, score_ranges=RANGES, refit=refit).entry(),
        provenance={"kind": "head_run", "base": {"model": "published-b2"}},
        verdict={"kept": "rotation", "reason": "the trained head is no better"},
        rotation={"method": "lda_qr", "parameter": 4.0},
    )
    shown = run("pretrained", "inspect", path)
    assert shown.exit_code == 0, shown.stderr
    said = " ".join(shown.stdout.split())
    for text in (
        "made by mrlspk train, a head on a frozen model",
        "base model published-b2",
        "head rotation",
        "kept because the trained head is no better",
        "rotation lda_qr 4",
        "trained on dev: 120 utterances of 30 speakers",
        "refit on all 38 speakers; the figures are of rotation.pt, without them",
        "4 25.00 0.50 to 0.90 -1.00 to 0.20",
        "8 12.50 0.40 to 0.80 -1.00 to 0.10",
        "calibration none",
    ):
        assert text in said
    recipe = run("pretrained", "inspect", path, "--json").json["recipe"]
    assert (recipe["head"], recipe["refit"]["speakers"], recipe["results"]) == ("rotation", 38, results)
    assert recipe["score_ranges"] == RANGES
