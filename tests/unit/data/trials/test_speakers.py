import gzip

import numpy as np
import pytest

from mrlspk.data.trials import Trials, trial_speakers


def make(lines, **more):
    rows = [line.split() for line in lines]
    labels, enroll_ids, test_ids = zip(*rows, strict=True)
    return Trials(enroll_ids, test_ids, np.array(labels) == "1", "list", "0", **more)


def named(speakers):
    pairs = zip(speakers.enroll_speaker, speakers.test_speaker, strict=True)
    return [(speakers.names[a], speakers.names[b]) for a, b in pairs]


def test_speakers_are_the_first_folders():
    speakers = trial_speakers(make(["1 a/1 a/2", "0 a/1 b/1", "0 c/1 b/1"]))
    assert (speakers.source, speakers.names) == ("folders", ("a", "b", "c"))
    assert named(speakers) == [("a", "a"), ("a", "b"), ("c", "b")]
    assert speakers.enroll_speaker.dtype == np.int64


@pytest.mark.parametrize("prefix", ["wav/", "/data/vox1/wav/"])
def test_folders_above_those_of_the_speakers_are_none(prefix):
    lines = [f"1 {prefix}a/s/1 {prefix}a/t/2", f"0 {prefix}a/s/1 {prefix}b/s/1"]
    assert trial_speakers(make(lines)).names == ("a", "b")


def test_folders_that_differ_between_the_sides_of_target_trials_are_none():
    speakers = trial_speakers(
        make(["1 enroll/a test/a1", "0 enroll/a test/b1", "1 enroll/b test/b1", "0 enroll/b test/a1"])
    )
    assert speakers.source == "target trials"
    assert len(speakers.names) == 2


def test_a_wrong_label_among_many_does_not_change_what_folders_are():
    lines = [f"1 a/{n} a/{n + 1}" for n in range(20)] + [f"0 a/{n} b/{n}" for n in range(20)] + ["1 a/1 b/1"]
    assert trial_speakers(make(lines)).source == "folders"


def test_utterances_that_target_trials_join_are_one_speaker():
    speakers = trial_speakers(make(["1 p q", "1 q r", "0 p x", "1 x y", "0 r z"]))
    assert speakers.source == "target trials"
    assert named(speakers) == [("p", "p"), ("p", "p"), ("p", "x"), ("x", "x"), ("p", "z")]


def test_speakers_that_the_list_names_come_first():
    ids = {"a/1": "S1", "b/1": "S1", "c/1": "S2"}
    speakers = trial_speakers(make(["1 a/1 b/1", "0 a/1 c/1"], speaker_by_id=ids))
    assert (speakers.source, named(speakers)) == ("the list", [("S1", "S1"), ("S1", "S2")])


def test_a_list_that_does_not_name_all_speakers_names_none():
    assert trial_speakers(make(["1 a/1 a/2", "0 a/1 c/1"], speaker_by_id={"a/1": "S1"})).source == "folders"


def test_a_model_is_of_the_speaker_of_its_utterances():
    models = {"m1": ("a/1", "a/2"), "m2": ("b/1",)}
    speakers = trial_speakers(make(["1 m1 a/3", "0 m1 b/3", "0 m2 a/3"], enrolments=models))
    assert (speakers.source, named(speakers)) == ("folders", [("a", "a"), ("a", "b"), ("b", "a")])


def test_target_trials_join_models_their_utterances_and_test_utterances():
    models = {"m1": ("p1", "p2"), "m2": ("q1", "p2"), "m3": ("r1", "r2")}  # m1 and m2 share p2
    speakers = trial_speakers(make(["1 m1 t1", "0 m2 t2", "0 m3 t1", "1 m3 t3"], enrolments=models))
    assert speakers.source == "target trials"
    assert named(speakers) == [("p1", "p1"), ("p1", "t2"), ("r1", "p1"), ("r1", "r1")]


def test_speakers_of_some_trials_keep_their_numbers():
    speakers = trial_speakers(make(["1 a/1 a/2", "0 a/1 b/1", "0 c/1 b/1"]))
    kept = speakers.only(np.array([False, False, True]))
    assert named(kept) == [("c", "b")]
    assert kept.names == speakers.names


def test_a_real_list_has_its_published_number_of_speakers(shared):
    text = gzip.decompress((shared / "reference/vox1-o-trials.txt.gz").read_bytes()).decode()
    speakers = trial_speakers(make(text.splitlines()))
    assert (speakers.source, len(speakers.names)) == ("folders", 40)
    flat = trial_speakers(make(text.replace("/", "-").splitlines()))
    assert flat.source == "target trials"
    assert len(flat.names) >= 40
