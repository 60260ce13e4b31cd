import math

import numpy as np
import pytest

from mrlspk.data.audio.levels import is_out_of_range, peak_of


def test_peak_is_the_largest_magnitude():
    assert peak_of(np.array([0.5, -0.75, 0.25], dtype=np.float32)) == 0.75
    assert peak_of(np.array([0.5, -0.25], dtype=np.float32)) == 0.5
    assert peak_of(np.empty(0, dtype=np.float32)) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_peak_shows_a_sample_that_is_no_number(value):
    assert not math.isfinite(peak_of(np.array([0.5, value, 0.5], dtype=np.float32)))


@pytest.mark.parametrize(("peak", "expected"), [(1.0, False), (1.2, False), (1.5, False), (100.0, True), (3e4, True)])
def test_out_of_range_is_far_beyond_full_scale(peak, expected):
    assert is_out_of_range(peak) is expected
