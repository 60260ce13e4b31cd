import pytest

from mrlspk.config.run import LoggingConfig
from mrlspk.errors import DataError
from mrlspk.evaluation.run_checkpoints import find_candidates, find_run_checkpoints


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
