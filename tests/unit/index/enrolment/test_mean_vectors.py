"""The mean of a voice's recordings, weighted by seconds of speech."""

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.index.enrolment.mean_vectors import mean_vector, speech_weights


def test_mean_is_weighted_by_seconds_of_speech_and_of_unit_length():
    vectors = np.array([[1, 0], [0, 1]], np.float32)
    mean = mean_vector(vectors, speech_weights([4.0, 3.0]), "ann")
    np.testing.assert_allclose(mean, [0.8, 0.6], atol=1e-7)
    assert mean.dtype == np.float32


def test_recording_of_unknown_length_weighs_as_the_others_do_on_average():
    np.testing.assert_array_equal(speech_weights([2.0, None, 6.0]), [2, 4, 6])
    np.testing.assert_array_equal(speech_weights([None, None]), [1, 1])


def test_mean_of_one_recording_is_its_vector_bit_for_bit():
    vector = np.array([[0.6, 0.8]], np.float32)
    assert mean_vector(vector, np.array([0.1]), "ann").tobytes() == vector.tobytes()


def test_opposite_recordings_have_no_mean():
    with pytest.raises(DataError, match="ann.*opposite"):
        mean_vector(np.array([[1, 0], [-1, 0]], np.float32), np.ones(2), "ann")
