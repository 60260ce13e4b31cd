import pytest

from mrlspk.evaluation.figures import WidthIntervals, measure
from mrlspk.evaluation.target import smallest_width
from scored_lists import drawn_trials


def results(eers, tops):
    """Return results of widths 4 and 8 with the figures given, the interval's top end beside each."""
    trials = drawn_trials()
    intervals = None if tops is None else [WidthIntervals((0.0, top), ((0, 1),)) for top in tops]
    measured = measure(trials, p_targets=(0.05,), false_accept_rates=(), intervals=intervals)
    return [type(each)(**(vars(each) | {"eer": eer})) for each, eer in zip(measured, eers, strict=True)]


@pytest.mark.parametrize(
    ("tops", "dim", "by_estimate"),
    [((0.019, 0.018), 4, 4), ((0.03, 0.02), 8, 4), ((0.03, 0.021), None, 4)],
)
def test_the_upper_end_of_the_interval_decides(tops, dim, by_estimate):
    found = smallest_width("list", results((0.015, 0.01), tops), 0.02)
    assert (found.dim, found.dim_by_estimate) == (dim, by_estimate)
    assert (found.reason is None) == (dim is not None)


def test_without_intervals_no_width_is_sure():
    found = smallest_width("list", results((0.03, 0.01), None), 0.02)
    assert (found.dim, found.dim_by_estimate) == (None, 8)
    assert "no intervals" in found.reason
