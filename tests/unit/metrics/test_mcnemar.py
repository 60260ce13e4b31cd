import pytest

from mrlspk.errors import MetricError
from mrlspk.metrics.mcnemar import mcnemar_p_value


@pytest.mark.parametrize(
    ("only_a_wrong", "only_b_wrong", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (0, 5, 2 / 32),
        (4, 1, 2 * (1 + 5) / 32),
        (3, 3, 1.0),
    ],
)
def test_p_value_counts_throws_of_a_coin(only_a_wrong, only_b_wrong, expected):
    assert mcnemar_p_value(only_a_wrong, only_b_wrong) == pytest.approx(expected)


def test_negative_counts_are_refused():
    with pytest.raises(MetricError, match="counts"):
        mcnemar_p_value(-1, 2)
