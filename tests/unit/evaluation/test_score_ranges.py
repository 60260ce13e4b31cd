"""Score ranges: quantiles counted by hand."""

import numpy as np
import pytest

from mrlspk.errors import MetricError
from mrlspk.evaluation.score_ranges import measure_score_ranges


def quantiles(of):
    return of.n, of.p05, of.p50, of.p95


def test_ranges_match_hand_count_at_each_width():
    same, different = np.arange(21) / 20, -np.arange(41) / 40  # steps of a twentieth: 5 % is the second of 21
    scores = np.concatenate([same, different])
    is_target = np.arange(scores.size) < same.size
    shuffled = np.random.default_rng(0).permutation(scores.size)
    columns = np.stack([scores, 2 * scores], axis=1)
    narrow, wide = measure_score_ranges(columns[shuffled], is_target[shuffled], (64, 192))
    assert (narrow.dim, wide.dim) == (64, 192)
    assert quantiles(narrow.same) == (21, *map(pytest.approx, (0.05, 0.5, 0.95)))
    assert quantiles(narrow.different) == (41, *map(pytest.approx, (-0.95, -0.5, -0.05)))
    assert quantiles(wide.same) == (21, *map(pytest.approx, (0.1, 1, 1.9)))


@pytest.mark.parametrize("is_target", [[True, True], [False, False]])
def test_one_kind_of_trial_has_no_ranges(is_target):
    with pytest.raises(MetricError, match=r"both kinds of trial, got \d target and \d non-target"):
        measure_score_ranges(np.array([[0.1], [0.2]]), np.array(is_target), (64,))
