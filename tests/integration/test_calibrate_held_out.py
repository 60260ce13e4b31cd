"""``mrlspk calibrate`` without ``--trials``: on the held-out trials of the run that wrote the checkpoint."""

import json

import pytest

from factories import model_card, tiny_run, write_tiny_model
from full_disk import files_up_to
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS


@pytest.fixture
def best(tmp_path, tiny_corpus):
    """A checkpoint of a run on the tiny corpus, with all trials as its held-out ones."""
    run_dir = tmp_path / "runs" / "one"
    write_tiny_model(run_dir / "best.pt", (4, 8), config=tiny_run(tiny_corpus.root))
    tiny_corpus.trials.rename(run_dir / VALIDATION_TRIALS)
    return run_dir / "best.pt"


def test_trials_of_the_run_are_the_default(run, best):
    outcome = run("calibrate", best, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (trials,) = outcome.json["trials"]
    assert trials["path"] == str(best.with_name(VALIDATION_TRIALS))
    assert trials["source"] == f"validation trials of the run that wrote {best}"
    assert "fitted on the held-out speakers of the run, which chose its checkpoint" in outcome.stderr


def test_verify_names_the_command_without_trials(run, best, tmp_path):
    one, other = sorted((tmp_path / "corpus").rglob("1.wav"))[:2]
    outcome = run("verify", one, other, "--model", best, "--speech", "all")
    assert f"To calibrate: mrlspk calibrate {best}\n" in outcome.stdout


def test_refitted_model_is_calibrated_by_its_twin(run, best):
    own = run("calibrate", best, "--json").json
    twin = write_tiny_model(best.with_name("trained.pt"), (4, 8), seed=1, config=own_config(best))
    scores = run("calibrate", twin, "--json").json["results"]
    card = model_card(dims=(4, 8), refit={"speakers": 40, "held_out_model": "trained.pt"})
    write_tiny_model(best, (4, 8), config=own_config(best), card=card.entry())
    outcome = run("calibrate", best, "--force", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert "scored trained.pt, the same recipe without them" in outcome.stderr
    assert outcome.json["results"] == scores != own["results"]
    assert (outcome.json["fingerprint"], outcome.json["scored_with"]) == (own["fingerprint"], "trained.pt")
    assert json.loads(best.with_name("best.calibration.json").read_text())["scored_with"] == "trained.pt"


def own_config(best):
    return tiny_run(best.parents[2] / "corpus")


def test_model_without_trials_is_refused_with_the_flag(run, tmp_path):
    outcome = run("calibrate", write_tiny_model(tmp_path / "m.pt"))
    assert outcome.exit_code == 3
    assert "found no trials" in outcome.stderr
    assert "--trials FILE" in outcome.stderr


def test_full_disk_shows_the_calibration_all_the_same(run, best):
    run("calibrate", best, "-o", best.with_name("other.json"))  # fills the cache
    with files_up_to(0):
        outcome = run("calibrate", best, "--no-cache")
    assert outcome.exit_code == 1
    assert "best.calibration.json: cannot be written" in outcome.stderr
    assert "Cllr" in outcome.stdout
    assert "written to" not in outcome.stdout
    assert not best.with_name("best.calibration.json").exists()
