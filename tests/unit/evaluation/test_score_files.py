import json
from dataclasses import replace

import numpy as np
import pytest

from mrlspk.data.trials import OfficialMatch
from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.evaluation.score_files import ModelScores, ScoredAs, claim_scores, read_scores, write_scores
from mrlspk.evaluation.trial_list import MissingAudio
from scored_lists import drawn_trials, list_scores

HOW = ScoredAs("as", 5, "c" * 64, 60.0)


def store(path, scores):
    with claim_scores(path, force=False) as claim:
        write_scores(claim, scores)


def test_scores_come_back_as_they_were(tmp_path):
    lists = [
        list_scores(drawn_trials(seed=1), path="first"),
        replace(
            list_scores(drawn_trials(seed=2), path="zweite Liste"),
            official=OfficialMatch("VoxCeleb1-O", "counts"),
            missing=MissingAudio(3, 7, ("a/1", "b/2")),
        ),
    ]
    store(tmp_path / "scores.npz", ModelScores("f" * 64, HOW, tuple(lists)))
    stored = read_scores(tmp_path / "scores.npz")
    assert (stored.fingerprint, stored.scored_as) == ("f" * 64, HOW)
    for found, expected in zip(stored.lists, lists, strict=True):
        assert found.same_trials(expected)
        assert np.array_equal(found.scored.scores, expected.scored.scores)
        assert (found.scored.dims, found.scored.speakers) == (expected.scored.dims, expected.scored.speakers)
        assert (found.path, found.official, found.missing) == (expected.path, expected.official, expected.missing)


def test_scores_of_before_speech_detection_are_of_whole_recordings(tmp_path):
    path = tmp_path / "scores.npz"
    spoken = replace(HOW, speech="auto", speech_detector="energy-1", channel=1)
    store(path, ModelScores("f" * 64, spoken, (list_scores(drawn_trials()),)))
    assert read_scores(path).scored_as == spoken
    arrays = dict(np.load(path))
    described = json.loads(str(arrays["lists"]))
    for key in ("speech", "speech_detector", "channel"):
        del described["scored_as"][key]
    np.savez(path, **arrays | {"lists": np.array(json.dumps(described))})
    assert read_scores(path).scored_as == HOW


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"scores": np.zeros((3, 2))}, id="scores of other trials"),
        pytest.param({"scores": np.zeros((555, 1))}, id="fewer columns than widths"),
        pytest.param({"scores": np.full((555, 2), np.nan)}, id="scores that are not finite"),
        pytest.param({"dims": (8, 4)}, id="widths that fall"),
        pytest.param({"dims": ("a", 8)}, id="widths that are no numbers"),
        pytest.param({"is_target": np.ones(555, dtype=bool)}, id="one kind of trial"),
        pytest.param({"enroll_speaker": np.full(555, 30)}, id="a speaker without a name"),
        pytest.param({"enroll_speaker": np.zeros(555)}, id="speakers that are no whole numbers"),
        pytest.param({"scores": np.zeros((555, 2), dtype=complex)}, id="scores that are not real"),
        pytest.param({"scores": np.full((555, 2), "x")}, id="scores that are words"),
        pytest.param({"speakers": (1, 2)}, id="names that are numbers"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path, changes):
    path = tmp_path / "scores.npz"
    store(path, ModelScores("f" * 64, HOW, (list_scores(replace(drawn_trials(), **changes)),)))
    with pytest.raises(DataError, match="eval --scores") as caught:
        read_scores(path)
    assert caught.value.where == path


@pytest.mark.parametrize(
    "changes",
    [{"fingerprint": None}, {"scored_as": ScoredAs("as", [1], None, 60.0)}, {"scored_as": ScoredAs("x", 5, "c", 60.0)}],
)
def test_descriptions_of_other_types_are_refused(tmp_path, changes):
    path = tmp_path / "scores.npz"
    store(path, replace(ModelScores("f" * 64, HOW, (list_scores(drawn_trials()),)), **changes))
    with pytest.raises(DataError, match="eval --scores"):
        read_scores(path)


def test_a_file_without_lists_is_refused(tmp_path):
    path = tmp_path / "scores.npz"
    store(path, ModelScores("f" * 64, HOW, ()))
    with pytest.raises(DataError, match="lists"):
        read_scores(path)


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
    store(path, ModelScores("f" * 64, HOW, (list_scores(drawn_trials()),)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="eval --scores"):
        read_scores(path)


def test_existing_or_misnamed_score_file_is_rejected_before_work(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.npz"):
        claim_scores(tmp_path / "scores.txt", force=False)
    (tmp_path / "scores.npz").touch()
    with pytest.raises(MrlspkError, match="exists"), claim_scores(tmp_path / "scores.npz", force=False):
        pytest.fail("it was claimed")
    with claim_scores(tmp_path / "scores.npz", force=True) as claim:
        assert claim.path == tmp_path / "scores.npz"
