"""Condition profiles: which recordings share one, and its vector."""

import numpy as np
import pytest

from mrlspk.index.enrolment.profiles import average_by_condition, group_by_condition


def test_auto_gives_two_far_conditions_a_profile_each(recordings_of, origin):
    labels = group_by_condition(recordings_of(4, 3), limit="auto", centre=origin)
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_auto_does_not_split_the_recordings_of_one_condition(recordings_of, origin):
    for _ in range(50):
        labels = group_by_condition(recordings_of(8, spread=0.7), limit="auto", centre=origin)
        assert labels.tolist() == [0] * 8


@pytest.mark.parametrize("counts", [(2, 2), (5, 2), (6, 1)])
def test_auto_makes_no_profile_of_fewer_than_three_recordings(recordings_of, origin, counts):
    assert not group_by_condition(recordings_of(*counts), limit="auto", centre=origin).any()


def test_auto_makes_at_most_four_profiles(recordings_of, origin):
    vectors = recordings_of(3, 3, 3, 3, 3, condition=4.0, spread=0.2)
    assert len(set(group_by_condition(vectors, limit="auto", centre=origin).tolist())) == 4


def test_groups_do_not_depend_on_the_order_of_the_recordings(recordings_of, origin):
    vectors, order = recordings_of(4, 4), np.random.default_rng(0).permutation(8)
    first = group_by_condition(vectors, limit="auto", centre=origin)
    second = group_by_condition(vectors[order], limit="auto", centre=origin)
    assert second[0] == 0
    np.testing.assert_array_equal(first[order] == first[order[0]], second == 0)


def test_number_of_profiles_is_met_as_far_as_recordings_go(recordings_of, origin):
    vectors = recordings_of(2, 2, 2)
    assert group_by_condition(vectors, limit=3, centre=origin).tolist() == [0, 0, 1, 1, 2, 2]
    assert group_by_condition(vectors, limit=1, centre=origin).tolist() == [0] * 6
    assert group_by_condition(vectors[:2], limit=3, centre=origin).tolist() == [0, 1]


def test_profile_is_the_weighted_mean_of_its_recordings(origin):
    vectors, weights = np.zeros((4, 64), np.float32), np.array([1.0, 1, 4, 3])
    vectors[:2, 0], vectors[2, 5], vectors[3, 5], vectors[3, 6] = 1, 1, 0.6, 0.8
    profiles = average_by_condition(vectors, weights, "ann", limit=2, centre=origin)
    assert profiles.shape == (2, 64)
    assert profiles[0, 0] == 1
    np.testing.assert_allclose(profiles[1, [5, 6]], np.array([5.8, 2.4]) / np.hypot(5.8, 2.4), rtol=1e-6)
    alone = average_by_condition(vectors, weights, "ann", limit=1, centre=origin)
    np.testing.assert_allclose(alone[0, [0, 5, 6]], np.array([2, 5.8, 2.4]) / np.sqrt(4 + 5.8**2 + 2.4**2), rtol=1e-6)
