import pytest

from mrlspk.errors import MetricError
from mrlspk.metrics.holm import holm


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01, 2 x 0.03, and 0.04 no less than that
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_adjusted_values_match_hand_count(p_values, expected):
    assert holm(p_values) == pytest.approx(expected)


def test_what_is_no_p_value_is_refused():
    with pytest.raises(MetricError, match="p-values"):
        holm([0.5, float("nan")])
