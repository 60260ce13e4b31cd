import logging
from collections import namedtuple
from datetime import datetime
from types import SimpleNamespace

import pytest
import torch
from torch.optim import SGD, AdamW

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.loss import LossConfig
from mrlspk.config.run import LoggingConfig
from mrlspk.errors import CheckpointError, MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.models.checkpoints import encoder_entries, save_checkpoint
from mrlspk.models.encoder import build_encoder
from mrlspk.training.checkpoints import run_folder
from mrlspk.training.checkpoints.run_folder import (
    CORPUS_LIST,
    check_space,
    checkpoint_bytes,
    describe_corpus_change,
    new_run_dir,
    write_corpus,
)
from mrlspk.training.network.module import NetworkModule

SMALL = ReDimNetConfig(F=8, C=8, stages_setup=((1, 1, 2, ((3, 3),), 8), (2, 1, 2, ((3, 3),), 8)))
MB = 10**6
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def module():
    architecture = describe_architecture(SMALL, (64, 256))
    encoder = build_encoder(architecture)
    criterion = build_loss(LossConfig(), dims=(64, 256), weights=(1, 1), n_speakers=1000)
    return NetworkModule(encoder, criterion), architecture


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
def test_estimated_size_is_that_of_the_file_after_a_step(module, tmp_path, make, trains_head_alone):
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
    """Set the free space of the disk."""

    def set_free(n_bytes):
        monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda _: Usage(10**12, 0, n_bytes))

    return set_free


def warned(caplog, *arguments, **options):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="mrlspk.training"):
        check_space(*arguments, **options)
    return caplog.text


def test_space_for_all_checkpoints_passes_silently(tmp_path, free, caplog):
    free(60 * MB)  # three kept, the best, the last, and the one being written
    assert not warned(caplog, tmp_path / "new" / "run", checkpoint_bytes=10 * MB, n_kept=3)


def test_space_for_fewer_checkpoints_is_warned_of(tmp_path, free, caplog):
    free(59 * MB)
    said = warned(caplog, tmp_path / "new" / "run", checkpoint_bytes=10 * MB, n_kept=3)
    assert "6 checkpoints of about 10.0 MB will not fit: 59.0 MB are free" in said
    assert "logging.keep_last_n (3)" in said
    assert not warned(caplog, tmp_path, checkpoint_bytes=10 * MB, n_kept=2)


def test_space_for_less_than_two_checkpoints_is_refused(tmp_path, free):
    free(20 * MB - 1)
    with pytest.raises(MrlspkError, match="about 10.0 MB, two have to fit") as caught:
        check_space(tmp_path, checkpoint_bytes=10 * MB, n_kept=0)
    assert caught.value.where == tmp_path
    assert "logging.save_dir" in caught.value.fix


def test_present_checkpoints_of_a_resumed_run_count_as_space(tmp_path, free, caplog):
    for name in ("last.pt", "best.pt", "epoch-001.pt"):
        (tmp_path / name).write_bytes(bytes(MB))
    free(MB)  # for the one that takes the place of another
    assert not warned(caplog, tmp_path, checkpoint_bytes=MB, n_kept=1)
    free(MB - 1)
    with pytest.raises(MrlspkError, match="two have to fit"):
        check_space(tmp_path, checkpoint_bytes=MB, n_kept=1)


def test_free_space_is_read_from_the_disk(tmp_path):
    check_space(tmp_path / "run", checkpoint_bytes=1, n_kept=3)
    with pytest.raises(MrlspkError, match="two have to fit"):
        check_space(tmp_path / "run", checkpoint_bytes=10**18, n_kept=3)


def test_corpus_change_counts_and_lists_added_and_removed_ids(tmp_path):
    write_corpus(tmp_path, ["a/1.wav", "a/2.wav", "b/1.wav"])
    assert describe_corpus_change(tmp_path, ["a/1.wav", "a/2.wav", "b/1.wav"]) is None
    description = describe_corpus_change(tmp_path, ["a/1.wav", "c/4.wav", "c/3.wav", "c/2.wav", "c/1.wav"])
    assert description == ("4 utterances added (c/1.wav, c/2.wav, c/3.wav, …), 2 utterances removed (a/2.wav, b/1.wav)")


def test_corpus_list_is_the_same_bytes_each_time(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_corpus(tmp_path / name, ["a/1.wav"])
    assert (tmp_path / "one" / CORPUS_LIST).read_bytes() == (tmp_path / "two" / CORPUS_LIST).read_bytes()


def test_missing_corpus_list_is_reported_and_a_damaged_one_refused(tmp_path):
    assert "is missing" in describe_corpus_change(tmp_path, ["a"])
    (tmp_path / CORPUS_LIST).write_bytes(b"no gzip")
    with pytest.raises(CheckpointError, match="cannot be read"):
        describe_corpus_change(tmp_path, ["a"])


def test_runs_of_one_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "datetime", SimpleNamespace(now=lambda: datetime(2026, 1, 2, 3, 4, 5)))
    config = LoggingConfig(save_dir=tmp_path)
    for name in ("20260102-030405", "20260102-030405-2", "20260102-030405-3"):
        run_dir = new_run_dir(config, replaces_untrained=False)
        assert run_dir == tmp_path / name
        run_dir.mkdir()
