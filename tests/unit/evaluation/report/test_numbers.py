import pytest

from mrlspk.evaluation.report.numbers import Numbers, format_number


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.01234, "percent", "1.23"),
        (0.95, "share", "95"),
        (0.001, "share", "0.1"),
        (-0.0123, "points", "−1.23"),
        (0.0123, "points", "+1.23"),
        (-0.00001, "points", "0.00"),
        (-0.25, "cost_change", "−0.2500"),
        (-0.1, "score", "−0.1000"),
        (0.00099, "p", "< 0.001"),
        (0.0496, "p", "0.050"),
        (37720, "count", "37,720"),
        (60.0, "general", "60"),
        (None, "percent", "–"),
    ],
)
def test_number_is_shown_as_a_reader_expects(value, kind, shown):
    assert format_number(value, kind) == shown


def test_number_is_marked_with_its_path():
    numbers = Numbers({"trials": [{"eer": 0.5, "ci": [0.4, 0.6]}]})
    assert numbers.show("trials.0.eer", "percent") == (
        '<span data-path="trials.0.eer" data-format="percent">50.00</span>'
    )
    assert 'data-path="trials.0.ci.1"' in numbers.interval("trials.0.ci", "percent")


def test_absent_figure_is_a_dash_and_absent_interval_nothing():
    numbers = Numbers({"trials": [{"eer": 0.5, "eer_ci": None}]})
    assert ">–<" in numbers.show("trials.0.missing.n_utterances", "count")
    assert numbers.interval("trials.0.eer_ci", "percent") == ""
