from pathlib import Path

import pytest

from factories import model_card, write_tiny_model
from mrlspk.config import Config
from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError, DataError
from mrlspk.evaluation.run_checkpoints import (
    BEST_CARD,
    find_candidates,
    find_run_checkpoints,
    held_out_twin,
    without_held_out,
)
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS, TrialRequest
from mrlspk.inference.model_file import ModelFile


def test_checkpoints_come_by_epoch_and_others_are_left_out(tmp_path):
    for name in ("epoch-010.pt", "epoch-002.pt", "best.pt", "last.pt", "epoch-x.pt", "epoch-003.pt.partial"):
        (tmp_path / name).touch()
    assert [(each.path.name, each.epoch) for each in find_run_checkpoints(tmp_path)] == [
        ("epoch-002.pt", 2),
        ("epoch-010.pt", 10),
    ]


def test_a_run_of_one_checkpoint_is_refused(tmp_path):
    (tmp_path / "epoch-001.pt").touch()
    with pytest.raises(DataError, match="got 1") as caught:
        find_run_checkpoints(tmp_path)
    assert "logging.keep_last_n" in caught.value.fix
    assert "keep_last_n" in LoggingConfig.model_fields


def test_candidates_of_a_head_run_come_from_the_simplest_on(tmp_path):
    for name in ("best", "trained", "start", "rotation", "last", "epoch-001", "epoch-002"):
        (tmp_path / f"{name}.pt").touch()
    names = [path.name for path in find_candidates(tmp_path)]
    assert names == ["rotation.pt", "start.pt", "trained.pt", "best.pt"]
    (tmp_path / "start.pt").unlink()
    assert [path.name for path in find_candidates(tmp_path)] == ["rotation.pt", "trained.pt", "best.pt"]


def test_run_without_a_rotation_has_no_candidates(tmp_path):
    for name in ("best", "last", "epoch-001"):
        (tmp_path / f"{name}.pt").touch()
    assert find_candidates(tmp_path) == ()


@pytest.fixture
def refitted(tmp_path):
    """A best.pt that was refitted on all speakers, beside the trained head that was not."""
    card = model_card(refit={"speakers": 40, "held_out_model": "trained.pt"})
    write_tiny_model(tmp_path / "best.pt", card=card.entry())
    write_tiny_model(tmp_path / "trained.pt", card=model_card().entry())
    (tmp_path / VALIDATION_TRIALS).touch()
    return ModelFile(tmp_path / "best.pt", "best.pt")


def test_twin_of_a_refitted_model_has_not_seen_the_held_out(refitted):
    twin = held_out_twin(refitted)
    assert twin.path == refitted.path.with_name("trained.pt")
    assert twin.typed == str(twin.path)  # messages about its calibration name it
    assert held_out_twin(held_out_twin(refitted)) is None


def test_refitted_model_whose_twin_is_gone_is_refused(refitted):
    refitted.path.with_name("trained.pt").unlink()
    with pytest.raises(CheckpointError, match="trained.pt is gone"):
        held_out_twin(refitted)


def test_refitted_model_away_from_its_run_has_no_twin(refitted):
    refitted.path.with_name(VALIDATION_TRIALS).unlink()
    assert held_out_twin(refitted) is None


def test_twin_is_scored_on_the_held_out_speakers_alone(refitted, caplog):
    assert without_held_out(refitted, TrialRequest(), Config()).path.name == "trained.pt"
    assert "refitted on the held-out speakers too: scored trained.pt" in caplog.text
    named = TrialRequest((Path("others.txt"),))
    configured = Config.model_validate({"evaluation": {"test_datasets": {"other": "folder"}}})
    for trials, config in ((named, Config()), (TrialRequest(), configured)):
        assert without_held_out(refitted, trials, config) is refitted


def test_trials_in_the_configuration_of_a_run_are_of_others(refitted):
    own = {"evaluation": {"test_datasets": {"other": "folder"}}}
    card = model_card(refit={"speakers": 40, "held_out_model": "trained.pt"})
    write_tiny_model(refitted.path, card=card.entry(), config=own)
    assert without_held_out(refitted, TrialRequest(), Config()) is refitted


def test_exported_model_of_a_refitted_one_is_warned_of(refitted, caplog):
    exported, card = ModelFile(refitted.path.with_name("best.onnx"), "best.onnx"), refitted.path.parent / BEST_CARD
    for refit, n_warnings in ((None, 0), ({"speakers": 40, "held_out_model": "trained.pt"}, 1)):
        card.write_text(model_card(refit=refit).model_dump_json())
        assert without_held_out(exported, TrialRequest(), Config()) is exported
        assert caplog.text.count("best.onnx may be of a model that was refitted") == n_warnings


def test_card_that_is_no_card_says_nothing_of_an_export(refitted, caplog):
    (refitted.path.parent / BEST_CARD).write_text("[]")
    exported = ModelFile(refitted.path.with_name("best.onnx"), "best.onnx")
    assert without_held_out(exported, TrialRequest(), Config()) is exported
    assert caplog.text == ""
