import pytest

from mrlspk.errors import CheckpointError
from mrlspk.training.checkpoints.corpus_list import CORPUS, describe_difference, write_corpus


def test_difference_counts_and_names_what_was_added_and_removed(tmp_path):
    write_corpus(tmp_path, ["a/1.wav", "a/2.wav", "b/1.wav"])
    assert describe_difference(tmp_path, ["a/1.wav", "a/2.wav", "b/1.wav"]) is None
    told = describe_difference(tmp_path, ["a/1.wav", "c/4.wav", "c/3.wav", "c/2.wav", "c/1.wav"])
    assert told == ("4 utterances added (c/1.wav, c/2.wav, c/3.wav, …), 2 utterances removed (a/2.wav, b/1.wav)")


def test_list_is_the_same_bytes_each_time(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_corpus(tmp_path / name, ["a/1.wav"])
    assert (tmp_path / "one" / CORPUS).read_bytes() == (tmp_path / "two" / CORPUS).read_bytes()


def test_list_that_is_gone_is_said_and_a_damaged_one_is_an_error(tmp_path):
    assert "is gone" in describe_difference(tmp_path, ["a"])
    (tmp_path / CORPUS).write_bytes(b"no gzip")
    with pytest.raises(CheckpointError, match="cannot be read"):
        describe_difference(tmp_path, ["a"])
