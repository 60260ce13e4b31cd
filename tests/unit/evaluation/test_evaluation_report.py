import pytest

from mrlspk.evaluation.evaluation_report import smallest_width
from mrlspk.metrics.width_metrics import WidthMetrics


def results(eers, tops):
    """Return widths 4 and 8 with the given equal error rates and upper ends of their intervals."""
    intervals = [None] * 2 if tops is None else [(0.0, top) for top in tops]
    return [WidthMetrics(dim, eer, ci) for dim, eer, ci in zip((4, 8), eers, intervals, strict=True)]


@pytest.mark.parametrize(
    ("tops", "dim", "by_estimate"),
    [((0.019, 0.018), 4, 4), ((0.03, 0.02), 8, 4), ((0.03, 0.021), None, 4)],
)
def test_the_upper_end_of_the_interval_decides(tops, dim, by_estimate):
    found = smallest_width("list", results((0.015, 0.01), tops), 0.02)
    assert (found.dim, found.dim_by_estimate) == (dim, by_estimate)
    assert (found.reason is None) == (dim is not None)


def test_without_intervals_no_width_is_certain():
    found = smallest_width("list", results((0.03, 0.01), None), 0.02)
    assert (found.dim, found.dim_by_estimate) == (None, 8)
    assert "without intervals" in found.reason
