import os

import pytest
import torch

from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import save_checkpoint
from mrlspk.training.checkpoints.checkpoint import save_epoch
from mrlspk.training.checkpoints.resume import find_resume_point


def entries(epoch):
    return {"progress": {"epoch": epoch}, "value": torch.tensor(float(epoch))}


def test_only_the_last_kept_checkpoints_stay(tmp_path):
    for epoch in range(1, 6):
        save_epoch(tmp_path, entries(epoch), best_name="best.pt" if epoch == 2 else None, keep=True, keep_last_n=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch-004.pt", "epoch-005.pt", "last.pt"]
    assert torch.load(tmp_path / "best.pt", weights_only=True)["value"] == 2
    assert torch.load(tmp_path / "last.pt", weights_only=True)["value"] == 5


def test_none_are_kept_where_none_are_wanted(tmp_path):
    save_epoch(tmp_path, entries(1), best_name="best.pt", keep=True, keep_last_n=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt"]


def test_failed_save_leaves_the_old_file_and_no_partial_one(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, entries(1))
    with pytest.raises(AttributeError):
        save_checkpoint(path, {"unpicklable": lambda: None})
    assert torch.load(path, weights_only=True)["value"] == 1
    assert [found.name for found in tmp_path.iterdir()] == ["last.pt"]


def test_auto_resumes_the_newest_run(tmp_path):
    for age, name in enumerate(("newer", "older")):
        save_checkpoint(tmp_path / name / "last.pt", entries(1))
        os.utime(tmp_path / name / "last.pt", (1000 - age, 1000 - age))
    assert find_resume_point("auto", LoggingConfig(save_dir=tmp_path)) == tmp_path / "newer" / "last.pt"
    named = LoggingConfig(save_dir=tmp_path, run_name="older")
    assert find_resume_point("auto", named) == tmp_path / "older" / "last.pt"
    assert find_resume_point("never", LoggingConfig(save_dir=tmp_path)) is None
    assert find_resume_point("auto", LoggingConfig(save_dir=tmp_path / "nothing")) is None
    assert find_resume_point(str(tmp_path / "older"), LoggingConfig()) == tmp_path / "older" / "last.pt"


def test_resume_from_nothing_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        find_resume_point(str(tmp_path / "gone"), LoggingConfig())
