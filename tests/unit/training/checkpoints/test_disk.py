import logging
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from torch.optim import SGD, AdamW

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.loss import LossConfig
from mrlspk.errors import MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.models.checkpoints import encoder_entries, save_checkpoint
from mrlspk.models.encoder import build_encoder
from mrlspk.training.checkpoints import disk
from mrlspk.training.checkpoints.disk import check_space, checkpoint_bytes, with_last_good
from mrlspk.training.modules import TrainedModule

SMALL = ReDimNetConfig(F=8, C=8, stages_setup=((1, 1, 2, ((3, 3),), 8), (2, 1, 2, ((3, 3),), 8)))
MB = 10**6
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def module():
    architecture = describe_architecture(SMALL, (64, 256))
    encoder = build_encoder(architecture)
    criterion = build_loss(LossConfig(), dims=(64, 256), weights=(1, 1), n_speakers=1000)
    return TrainedModule(encoder, criterion), architecture


@pytest.mark.parametrize(
    "make",
    [
        AdamW,
        lambda parameters: SGD(parameters, momentum=0.9, nesterov=True),
        lambda parameters: SGD(parameters, momentum=0.0),
    ],
    ids=["AdamW", "SGD with momentum", "SGD"],
)
@pytest.mark.parametrize("trains_head_alone", [False, True])
def test_bytes_of_a_checkpoint_are_those_of_its_file_before_the_first_step(module, tmp_path, make, trains_head_alone):
    trained, architecture = module
    parts = (trained.encoder.head, trained.criterion) if trains_head_alone else (trained,)
    parameters = [parameter for part in parts for parameter in part.parameters()]
    optimiser = make(parameters)
    expected = checkpoint_bytes(trained, optimiser)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    entries = encoder_entries(trained.encoder, architecture) | trained.entries()
    save_checkpoint(tmp_path / "last.pt", entries | {"optimiser": optimiser.state_dict(), "rng": torch.get_rng_state()})
    assert expected == pytest.approx((tmp_path / "last.pt").stat().st_size, rel=0.05)


@pytest.fixture
def free(monkeypatch):
    """Sets what the disk has free."""

    def set_free(n_bytes):
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: Usage(10**12, 0, n_bytes))

    return set_free


def warned(caplog, *arguments, **options):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="mrlspk.training"):
        check_space(*arguments, **options)
    return caplog.text


def test_room_for_all_checkpoints_needs_no_word(tmp_path, free, caplog):
    free(60 * MB)  # three kept, the best, the last, and the one being written
    assert not warned(caplog, tmp_path / "new" / "run", checkpoint_bytes=10 * MB, n_kept=3)


def test_less_room_than_all_checkpoints_take_is_warned_of(tmp_path, free, caplog):
    free(59 * MB)
    said = warned(caplog, tmp_path / "new" / "run", checkpoint_bytes=10 * MB, n_kept=3)
    assert "6 checkpoints of about 10.0 MB will not fit: 59.0 MB are free" in said
    assert "logging.keep_last_n (3)" in said
    assert not warned(caplog, tmp_path, checkpoint_bytes=10 * MB, n_kept=2)


def test_no_room_for_two_checkpoints_is_refused(tmp_path, free):
    free(20 * MB - 1)
    with pytest.raises(MrlspkError, match="about 10.0 MB, two have to fit") as caught:
        check_space(tmp_path, checkpoint_bytes=10 * MB, n_kept=0)
    assert caught.value.where == tmp_path
    assert "logging.save_dir" in caught.value.fix


def test_checkpoints_of_a_run_that_goes_on_count_as_room(tmp_path, free, caplog):
    for name in ("last.pt", "best.pt", "epoch-001.pt"):
        (tmp_path / name).write_bytes(bytes(MB))
    free(MB)  # for the one that takes the place of another
    assert not warned(caplog, tmp_path, checkpoint_bytes=MB, n_kept=1)
    free(MB - 1)
    with pytest.raises(MrlspkError, match="two have to fit"):
        check_space(tmp_path, checkpoint_bytes=MB, n_kept=1)


def test_space_is_that_of_the_real_disk(tmp_path):
    check_space(tmp_path / "run", checkpoint_bytes=1, n_kept=3)
    with pytest.raises(MrlspkError, match="two have to fit"):
        check_space(tmp_path / "run", checkpoint_bytes=10**18, n_kept=3)


FULL_DISK = """
import resource
import sys
from pathlib import Path

import torch

from mrlspk.errors import MrlspkError
from mrlspk.models.checkpoints import save_checkpoint
from mrlspk.training.checkpoints.disk import with_last_good

run_dir = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(run_dir / "last.pt", {"progress": {"epoch": 3, "step": 70}, "model": torch.ones(100_000)})
except MrlspkError as error:
    print(with_last_good(error, run_dir))
"""


def save_where_no_room_is_left(run_dir):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(run_dir)], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_save_without_room_leaves_the_last_checkpoint_and_names_it(tmp_path):
    good = {"progress": {"epoch": 2, "step": 50}, "model": torch.zeros(1000)}
    save_checkpoint(tmp_path / "last.pt", good)
    before = (tmp_path / "last.pt").read_bytes()
    said = save_where_no_room_is_left(tmp_path)
    assert said.startswith(f"{tmp_path / 'last.pt'}: cannot be written: File too large\n")
    assert f"{tmp_path / 'last.pt'}, of step 50 (2 epochs done), is whole" in said
    assert f"--resume {tmp_path}" in said
    assert (tmp_path / "last.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_save_without_room_for_the_first_checkpoint_says_so(tmp_path):
    assert "nothing to go on from yet" in save_where_no_room_is_left(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_error_keeps_what_and_where(tmp_path):
    error = with_last_good(MrlspkError("what", "where", "fix"), tmp_path)
    assert (error.what, error.where) == ("what", "where")
