import os

import pytest

from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import save_checkpoint
from mrlspk.training.checkpoints.resume_point import find_resume_point, read_resume_point


def test_auto_resumes_the_newest_run(tmp_path):
    for age, name in enumerate(("newer", "older")):
        save_checkpoint(tmp_path / name / "last.pt", {"progress": {"epoch": 1}})
        os.utime(tmp_path / name / "last.pt", (1000 - age, 1000 - age))
    assert find_resume_point("auto", LoggingConfig(save_dir=tmp_path)) == tmp_path / "newer" / "last.pt"
    named = LoggingConfig(save_dir=tmp_path, run_name="older")
    assert find_resume_point("auto", named) == tmp_path / "older" / "last.pt"
    assert find_resume_point("never", LoggingConfig(save_dir=tmp_path)) is None
    assert find_resume_point("auto", LoggingConfig(save_dir=tmp_path / "nothing")) is None
    assert find_resume_point(str(tmp_path / "older"), LoggingConfig()) == tmp_path / "older" / "last.pt"


def test_resume_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        find_resume_point(str(tmp_path / "gone"), LoggingConfig())


def test_resume_of_a_run_without_a_checkpoint_says_so(tmp_path):
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "config.yaml").touch()
    with pytest.raises(CheckpointError, match="was stopped before its first checkpoint"):
        find_resume_point(str(tmp_path / "second"), LoggingConfig())


def test_resume_of_the_name_of_a_run_names_its_folder(tmp_path):
    (tmp_path / "second").mkdir()
    with pytest.raises(CheckpointError) as caught:
        find_resume_point("second", LoggingConfig(save_dir=tmp_path))
    assert caught.value.fix == f"Did you mean `resume={tmp_path / 'second'}`?"


def test_known_checkpoint_is_read_again_only_if_its_file_was_replaced(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"progress": {"epoch": 1}})
    first = read_resume_point(path)
    assert read_resume_point(path, known=first) is first
    save_checkpoint(path, {"progress": {"epoch": 2}})
    assert read_resume_point(path, known=first).entries == {"progress": {"epoch": 2}}
    save_checkpoint(tmp_path / "epoch-001.pt", {"progress": {"epoch": 1}})
    assert read_resume_point(tmp_path / "epoch-001.pt", known=first).path.name == "epoch-001.pt"
