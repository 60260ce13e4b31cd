import numpy as np
import pytest

from index_voices import queries_of, unit
from mrlspk.index.decisions.trials import EnrolledRecordings, mean_profile, own_queries, score_trials

ANGLES = np.radians([0, 10, 30, 90, 100])  # of recordings of two voices in a plane


def two_voices(sources):
    vectors = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
    return EnrolledRecordings(vectors, ("a", "b"), np.array([0, 0, 0, 1, 1]), np.ones(5), sources)


def degrees(cosines):
    return np.degrees(np.arccos(np.asarray(cosines, dtype=float)))


def test_query_is_compared_with_its_voice_without_itself():
    enrolled = two_voices(("a/1.wav", "a/2.wav", "a/3.wav", "b/1.wav", "b/2.wav"))
    trials = score_trials(enrolled, own_queries(enrolled), (2,))
    assert degrees(trials.target[:, 0]) == pytest.approx([20, 5, 25, 10, 10], abs=0.1)
    assert not trials.is_across.any()


def test_query_is_compared_with_the_other_folders_of_its_voice():
    enrolled = two_voices(("a/s1/1.wav", "a/s1/2.wav", "a/s2/3.wav", "b/1.wav", "b/2.wav"))
    trials = score_trials(enrolled, own_queries(enrolled), (2,))
    assert degrees(trials.target[:, 0]) == pytest.approx([30, 20, 25, 10, 10], abs=0.1)
    assert trials.is_across.tolist() == [True, True, True, False, False]


def test_copy_of_a_query_is_no_evidence_for_its_voice():
    vectors = unit(np.array([[1, 0], [1, 0.001], [1, 1], [0, 1]]))
    enrolled = EnrolledRecordings(vectors, ("a", "b"), np.array([0, 0, 0, 1]), np.ones(4), ("a/1", "a/2", "a/3", "b/1"))
    trials = score_trials(enrolled, own_queries(enrolled), (2,))
    assert degrees(trials.target[:2, 0]) == pytest.approx([45, 45], abs=0.1)
    assert np.isnan(trials.target[3, 0])  # nothing is left of b


def test_other_voices_are_scored_whole_and_the_own_is_left_out():
    enrolled = two_voices(("a/1", "a/2", "a/3", "b/1", "b/2"))
    trials = score_trials(enrolled, own_queries(enrolled), (2,))
    assert degrees(trials.others[0, :3, 1]) == pytest.approx([95, 85, 65], abs=0.1)
    assert np.isnan(trials.others[0, :3, 0]).all()


def test_query_of_a_stranger_has_only_other_voices():
    enrolled = two_voices(("a/1", "a/2", "a/3", "b/1", "b/2"))
    trials = score_trials(enrolled, queries_of(np.array([[0.0, 1.0]]), [-1]), (2,))
    assert np.isnan(trials.target).all()
    assert degrees(trials.others[0, 0, 1]) == pytest.approx(5, abs=0.1)


def test_further_recording_is_compared_with_the_whole_voice():
    enrolled = two_voices(("a/1", "a/2", "a/3", "b/1", "b/2"))
    trials = score_trials(enrolled, queries_of(np.array([[1.0, 0.0]]), [1]), (2,))
    assert degrees(trials.target[0, 0]) == pytest.approx(95, abs=0.1)


def test_best_of_several_profiles_counts():
    enrolled = two_voices(("a/1", "a/2", "a/3", "b/1", "b/2"))
    trials = score_trials(enrolled, own_queries(enrolled), (2,), make_profiles=lambda vectors, _: vectors)
    assert degrees(trials.target[:3, 0]) == pytest.approx([10, 10, 20], abs=0.1)
    assert degrees(trials.others[0, 3, 0]) == pytest.approx(60, abs=0.1)


def test_prefix_of_the_whole_mean_is_normalised_again():
    vectors = unit(np.array([[3, 4, 0], [3, 0, 4], [0, 1, 0]]))
    enrolled = EnrolledRecordings(vectors, ("a", "b"), np.array([0, 0, 1]), np.array([1.0, 3.0, 1.0]), ("x", "y", "z"))
    trials = score_trials(enrolled, queries_of(np.array([[0.0, 2.0, 5.0]]), [-1]), (2, 3))
    mean = np.array([0.6, 0.2, 0.6])  # weighted by 1 and 3
    assert trials.others[0, 0, 0] == pytest.approx(mean[1] / np.linalg.norm(mean[:2]))
    assert mean_profile(vectors[:2], np.array([1.0, 3.0]))[0] == pytest.approx(mean / np.linalg.norm(mean))
