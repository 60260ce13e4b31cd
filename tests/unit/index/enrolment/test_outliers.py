"""Recordings of another speaker among those of a voice."""

import numpy as np
import pytest

from mrlspk.index.enrolment.groups import FEWEST_VOICES, find_centre
from mrlspk.index.enrolment.outliers import find_outliers


@pytest.mark.parametrize("place", [0, 2, 4])
def test_recording_of_another_speaker_is_found(recordings_of, origin, place):
    vectors = np.insert(recordings_of(4), place, recordings_of(1)[0], axis=0)
    assert find_outliers(vectors, origin) == (place,)


def test_recordings_of_several_other_speakers_are_found(recordings_of, origin):
    vectors = np.concatenate([recordings_of(5), recordings_of(1), recordings_of(2)])
    assert find_outliers(vectors, origin) == (5, 6, 7)


def test_second_half_is_named_where_two_speakers_share_a_name_equally(recordings_of, origin):
    assert find_outliers(np.concatenate([recordings_of(2), recordings_of(2)]), origin) == (2, 3)


def test_recordings_of_two_conditions_match_each_other(recordings_of, origin):
    for _ in range(20):
        assert find_outliers(recordings_of(2, 2, condition=0.8), origin) == ()


def test_two_recordings_do_not_tell_which_of_them_is_wrong(recordings_of, origin):
    assert find_outliers(np.concatenate([recordings_of(1), recordings_of(1)]), origin) == ()


def test_centre_finds_speakers_whose_vectors_share_a_direction(recordings_of, origin):
    shared = np.zeros(64, np.float32)
    shared[0] = 1.5

    def towards(vectors):
        moved = vectors + shared
        return moved / np.linalg.norm(moved, axis=1, keepdims=True)

    others = towards(np.concatenate([recordings_of(1) for _ in range(100)]))
    vectors = towards(np.concatenate([recordings_of(4), recordings_of(1)]))
    assert find_outliers(vectors, origin) == ()
    assert find_outliers(vectors, find_centre(others)) == (4,)


def test_centre_of_few_voices_is_the_origin(recordings_of):
    assert not find_centre(recordings_of(FEWEST_VOICES - 1)).any()
    assert find_centre(recordings_of(FEWEST_VOICES)).any()
