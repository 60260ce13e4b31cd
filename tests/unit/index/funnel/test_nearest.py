"""Nearest rows by a falling limit, checked against a sort."""

import numpy as np
import pytest

from mrlspk.index.funnel.nearest import NearestRows


def rows_of(distances, *, wanted, block, slack=0.0, limit=np.inf):
    nearest = NearestRows(wanted, limit, slack=slack)
    for start in range(0, len(distances), block):
        nearest.offer(distances[start : start + block], start, None)
    return nearest.rows().tolist()


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("wanted", [1, 10, 300])
def test_rows_are_those_below_the_first_distance_too_many(wanted, block):
    distances = np.random.default_rng(wanted).integers(0, 60, 900).astype(np.uint16)
    limit = np.sort(distances)[wanted]
    assert rows_of(distances, wanted=wanted, block=block, limit=61) == np.flatnonzero(distances < limit).tolist()


@pytest.mark.parametrize("block", [3, 100])
def test_slack_keeps_rows_just_beyond_the_last_one_wanted(block):
    distances = np.array([5, 1, 2.05, 2, 9, 2.2, 0.5], np.float32)
    assert rows_of(distances, wanted=3, block=block, slack=0.1) == [1, 2, 3, 6]


def test_all_rows_are_kept_if_there_are_no_more_than_wanted():
    assert rows_of(np.array([3.0, 3.0, 1.0]), wanted=3, block=2) == [0, 1, 2]
    assert rows_of(np.empty(0), wanted=3, block=2) == []


def test_a_row_that_ties_with_rows_dropped_before_is_dropped():
    nearest = NearestRows(2, np.inf)
    nearest.offer(np.array([1.0, 5, 5, 5, 5, 5]), 0, None)
    nearest.offer(np.array([5.0]), 6, None)
    assert nearest.rows().tolist() == [0]


def test_positions_are_counted_from_the_start_of_the_block():
    nearest = NearestRows(2, np.inf)
    nearest.offer(np.array([0.1, 0.9]), 100, np.array([4, 7]))
    nearest.offer(np.array([0.2, 0.3]), 200, np.array([0, 1]))
    assert nearest.rows().tolist() == [104, 200]
