import subprocess
import sys

import pytest
import torch

from mrlspk.errors import MrlspkError
from mrlspk.models.checkpoints import save_checkpoint
from mrlspk.training.checkpoints.saving import naming_last_good, save_epoch


def entries(epoch):
    return {"progress": {"epoch": epoch}, "value": torch.tensor(float(epoch))}


def test_only_the_last_kept_epochs_remain(tmp_path):
    for epoch in range(1, 6):
        save_epoch(tmp_path, entries(epoch), best_name="best.pt" if epoch == 2 else None, keep=True, keep_last_n=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch-004.pt", "epoch-005.pt", "last.pt"]
    assert torch.load(tmp_path / "best.pt", weights_only=True)["value"] == 2
    assert torch.load(tmp_path / "last.pt", weights_only=True)["value"] == 5


def test_no_epoch_is_kept_if_none_is_wanted(tmp_path):
    save_epoch(tmp_path, entries(1), best_name="best.pt", keep=True, keep_last_n=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt"]


def test_failed_save_keeps_the_old_file_and_no_partial_one(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, entries(1))
    with pytest.raises(AttributeError):
        save_checkpoint(path, {"unpicklable": lambda: None})
    assert torch.load(path, weights_only=True)["value"] == 1
    assert [found.name for found in tmp_path.iterdir()] == ["last.pt"]


FULL_DISK = """
import resource
import sys
from pathlib import Path

import torch

from mrlspk.errors import MrlspkError
from mrlspk.models.checkpoints import save_checkpoint
from mrlspk.training.checkpoints.saving import naming_last_good

run_dir = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(run_dir / "last.pt", {"progress": {"epoch": 3, "step": 70}, "model": torch.ones(100_000)})
except MrlspkError as error:
    print(naming_last_good(error, run_dir))
"""


def save_on_full_disk(run_dir):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(run_dir)], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


@pytest.mark.process
def test_save_on_full_disk_keeps_and_names_the_last_checkpoint(tmp_path):
    good = {"progress": {"epoch": 2, "step": 50}, "model": torch.zeros(1000)}
    save_checkpoint(tmp_path / "last.pt", good)
    before = (tmp_path / "last.pt").read_bytes()
    said = save_on_full_disk(tmp_path)
    assert said.startswith(f"{tmp_path / 'last.pt'}: cannot be written: File too large\n")
    assert f"{tmp_path / 'last.pt'}, of step 50 (2 epochs done), is whole" in said
    assert f"`resume={tmp_path}`" in said
    assert (tmp_path / "last.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.process
def test_first_save_on_full_disk_leaves_no_file(tmp_path):
    assert "no checkpoint to resume from yet" in save_on_full_disk(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_error_of_a_failed_save_keeps_its_cause_and_place(tmp_path):
    error = naming_last_good(MrlspkError("what", "where", "fix"), tmp_path)
    assert (error.what, error.where) == ("what", "where")
