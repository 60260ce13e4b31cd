import numpy as np
import pytest

from mrlspk.metrics.cllr import cllr

IS_TARGET = np.array([True, False])


@pytest.mark.parametrize(
    ("llrs", "expected"),
    [
        ([0.0, 0.0], 1.0),
        ([np.log(3), -np.log(3)], np.log2(4 / 3)),  # log2(1 + 1/3) on both sides
        ([np.log(3), np.log(3)], (np.log2(4 / 3) + 2) / 2),
        ([1000.0, -1000.0], 0.0),
        ([-1000.0, 1000.0], 1000 / np.log(2)),  # far out, without overflow
    ],
)
def test_cllr_matches_hand_count(llrs, expected):
    assert cllr(np.array(llrs), IS_TARGET) == pytest.approx(expected)
