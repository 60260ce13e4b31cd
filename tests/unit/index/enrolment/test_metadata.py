"""Metadata of voices: values of table cells, and what is refused."""

import math

import pytest

from mrlspk.errors import UsageError
from mrlspk.index.enrolment.metadata import check_metadata, read_value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("41", 41),
        ("-0.5", -0.5),
        ("True", True),
        ("false", False),
        ("007", "007"),
        ("1e5", "1e5"),
        ("12,5", "12,5"),
        ("north", "north"),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", "9223372036854775808"),
        ("null", "null"),
    ],
)
def test_cell_is_a_number_a_boolean_or_else_a_text(cell, value):
    assert read_value(cell) == value
    assert type(read_value(cell)) is type(value)


def test_metadata_keeps_texts_numbers_booleans_and_none():
    values = {"site": "north", "age": 41, "rate": 0.5, "active": True, "note": None}
    assert check_metadata(values) == values


@pytest.mark.parametrize(
    "values",
    [
        {"a": [1]},
        {"a": {"b": 1}},
        {"a": math.nan},
        {"a": 2**63},
        {"a": "\ud800"},
        {"": 1},
        {'a"b': 1},
        {"a\\": 1},
        {"name": "x"},
        {3: 1},
    ],
)
def test_metadata_that_no_filter_could_name_is_refused(values):
    with pytest.raises(UsageError, match="metadata"):
        check_metadata(values)
