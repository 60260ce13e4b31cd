from dataclasses import replace

import numpy as np
import pytest

from mrlspk.data.trials import OfficialMatch
from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.evaluation.scores_file import check_scores_target, read_scores, write_scores
from mrlspk.evaluation.trial_list import MissingAudio
from scored_lists import drawn_trials, list_scores


def test_scores_come_back_as_they_were(tmp_path):
    lists = [
        list_scores(drawn_trials(seed=1), path="first"),
        replace(
            list_scores(drawn_trials(seed=2), path="zweite Liste"),
            official=OfficialMatch("VoxCeleb1-O", "counts"),
            missing=MissingAudio(3, 7, ("a/1", "b/2")),
        ),
    ]
    write_scores(tmp_path / "scores.npz", "f" * 64, lists)
    stored = read_scores(tmp_path / "scores.npz")
    assert stored.fingerprint == "f" * 64
    for found, expected in zip(stored.lists, lists, strict=True):
        assert found.same_trials(expected)
        assert np.array_equal(found.scored.scores, expected.scored.scores)
        assert (found.scored.dims, found.scored.speakers) == (expected.scored.dims, expected.scored.speakers)
        assert (found.path, found.official, found.missing) == (expected.path, expected.official, expected.missing)


@pytest.mark.parametrize("content", [b"", b"no scores", b"PK\x03\x04 cut"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "scores.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="eval --scores"):
        read_scores(path)


def test_other_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "scores.npz", ids=np.arange(3))
    with pytest.raises(DataError, match="eval --scores"):
        read_scores(tmp_path / "scores.npz")


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "scores.npz"
    write_scores(path, "f" * 64, [list_scores(drawn_trials())])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="eval --scores"):
        read_scores(path)


def test_a_target_of_another_kind_or_that_is_there_is_refused_before_work(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.npz"):
        check_scores_target(tmp_path / "scores.txt", force=False)
    (tmp_path / "scores.npz").touch()
    with pytest.raises(MrlspkError, match="exists"):
        check_scores_target(tmp_path / "scores.npz", force=False)
    check_scores_target(tmp_path / "scores.npz", force=True)
