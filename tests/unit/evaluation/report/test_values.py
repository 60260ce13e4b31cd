import math

import pytest

from mrlspk.evaluation.report.values import format_interval, format_number, model_names, short_names


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.01234, "percent", "1.23"),
        (0.95, "share", "95"),
        (0.001, "share", "0.1"),
        (-0.0123, "points", "−1.23"),
        (0.0123, "points", "+1.23"),
        (-0.00001, "points", "0.00"),
        (0.25, "cost", "0.2500"),
        (-1e-17, "cost", "0.0000"),
        (-0.25, "cost_change", "−0.2500"),
        (-0.1, "score", "−0.1000"),
        (0.00099, "p_value", "< 0.001"),
        (0.0496, "p_value", "0.050"),
        (37720, "integer", "37,720"),
        (60.0, "general", "60"),
        (None, "percent", "–"),
        (math.nan, "integer", "–"),
    ],
)
def test_number_is_shown_as_a_reader_expects(value, kind, shown):
    assert format_number(value, kind) == shown


def test_interval_is_shown_with_the_format_of_its_number():
    assert format_interval([-0.0123, 0.05], "points") == '<span class="interval">[−1.23, +5.00]</span>'
    assert format_interval(None, "points") == ""


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/list.txt", "b/other.txt", r"c:\d\third.txt"], ["list.txt", "other.txt", "third.txt"]),
        (["/x/a/list.txt", "/x/b/list.txt"], ["a/list.txt", "b/list.txt"]),
        (["/a/b/c", "b/c", "c"], ["a/b/c", "b/c", "c"]),
        (["/a", "a"], ["/a", "a"]),
        (["same", "same"], ["same", "same"]),
        (["", "/"], ["", "/"]),
        ([], []),
    ],
)
def test_short_names_are_the_fewest_parts_that_differ(paths, names):
    assert short_names(paths) == names


def test_models_are_numbered_where_a_short_name_is_long():
    assert model_names(["runs/a/best.pt", "runs/b/best.pt"]) == {
        "runs/a/best.pt": "a/best.pt",
        "runs/b/best.pt": "b/best.pt",
    }
    long = "n" * 33
    assert model_names(["a.pt", long]) == {"a.pt": "model 1", long: "model 2"}
