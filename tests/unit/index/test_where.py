"""Filters against a reading of them in Python, and the places that their errors point at."""

import json
import operator
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrlspk.errors import UsageError
from mrlspk.index.where import MOST_COMPARISONS, parse_filter

VOICES = {
    "Ann": {"site": "north", "age": 41, "tag": "a", "active": True},
    "Bob": {"site": "south", "age": 29.5, "tag": "b", "active": False},
    "Cid": {"site": "north", "age": "41", "note": None, "my key": 'say "hi"'},
    "Dörte": {"größe": 1, "active": 1, "a.b-c": 2},
}


@pytest.fixture
def found():
    """Return a function from a filter to the initials of the voices that it finds."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table voices (name text, metadata text)")
    rows = [(name, json.dumps(values, ensure_ascii=False)) for name, values in VOICES.items()]
    connection.executemany("insert into voices values (?, ?)", rows)

    def find(text):
        condition = parse_filter(text)
        rows = connection.execute(f"select name from voices where {condition.sql} order by name", condition.values)
        return "".join(name[0] for (name,) in rows)

    yield find
    connection.close()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('site = "north"', "AC"),
        ("site = 'north' and age >= 30", "A"),
        ('site = "north" and age >= 30 or not tag in ("a", "b")', "ACD"),
        ('(site = "south" or site = "north") and not age > 30', "BC"),
        ('site = "south" or site = "north" and age > 30', "AB"),
        ('site != "north"', "BD"),
        ("age = 41", "A"),
        ('age = "41"', "C"),
        ("age < 41.5", "AB"),
        ('age > ""', "C"),
        ("age in (29.5, 41)", "AB"),
        ('age in (29.5, "41", null)', "BCD"),
        ("age not in (29.5)", "ACD"),
        ("active = true", "A"),
        ("active = false", "B"),
        ("active = 1", "D"),
        ("active = NULL", "C"),
        ("note = null", "ABCD"),
        ("note != null", ""),
        ('name = "Ann"', "A"),
        ('name > "B" and NOT name = "Cid"', "BD"),
        ("name = null or name = 3", ""),
        ('"my key" = "say \\"hi\\""', "C"),
        ("größe = 1 and a.b-c = 2", "D"),
        ("not not age = 41", "A"),
        ("age == 41 or age <> 41 and site = 'south'", "AB"),
    ],
)
def test_filter_finds_the_voices_that_it_names(found, text, names):
    assert found(text) == names


def test_values_and_keys_of_a_filter_are_bound_never_text_of_the_query(found):
    text = 'site = \'x" or 1=1 --\' or "k\'); drop table voices; --" = "\'; drop table voices; --"'
    condition = parse_filter(text)
    assert "drop" not in condition.sql
    assert "1=1" not in condition.sql
    assert found(text) == ""
    assert found("name != ''") == "ABCD"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("site = north", 7, "expected a text in quotes, a number, true, false or null, got north"),
        ("age >", 5, "got the end"),
        ("= 3", 0, "expected a key"),
        ('site "n"', 5, "expected =, !=, <, <=, >, >= or in"),
        ("(age = 1", 8, "expected )"),
        ('site = "n', 7, "expected a closing quote"),
        ("age & 3", 4, "got '&'"),
        ("age < null", 6, "expected a text or a number after <"),
        ("age < true", 6, "expected a text or a number after <"),
        ("age = 1 site = 2", 8, "expected and, or, or the end"),
        ("age = 5x", 6, "got '5'"),
        ("age = 1e999", 6, "expected a finite number"),
        ("age in 3", 7, "expected ("),
        ("age in ()", 8, "expected a text in quotes"),
        ("age not = 3", 8, "expected in"),
        ("null = 3", 0, "expected a key"),
        ('"a\\"b" = 3', 0, "expected a key without quotes"),
        ("", 0, "expected a key"),
    ],
)
def test_error_of_a_filter_points_at_the_place(text, place, what):
    with pytest.raises(UsageError) as caught:
        parse_filter(text)
    message, line, mark = caught.value.what.split("\n")
    assert what in message
    assert line == f"  {text}"
    assert mark == f"  {' ' * place}^"


@pytest.mark.parametrize(
    "text", ["(" * 5000, "not " * 5000 + "a = 1", " or ".join(["a = 1"] * (MOST_COMPARISONS + 1)), "a = '\ud800'"]
)
def test_filter_that_sqlite_could_not_take_is_refused(text):
    with pytest.raises(UsageError):
        parse_filter(text)


def test_longest_filter_and_a_long_list_run_in_sqlite(found):
    assert found(" or ".join(["age = 41"] * MOST_COMPARISONS)) == "A"
    assert found(f"age in ({', '.join(map(str, range(40_000)))})") == "A"


NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 2.0])
VALUES = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a"])
ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def kind(value):
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@given(st.dictionaries(st.sampled_from(["k", "l"]), VALUES), VALUES, st.sampled_from(["=", "!=", *ORDERS]))
def test_comparison_equals_that_of_python_for_values_of_one_type(metadata, value, symbol):
    stored = metadata.get("k")
    if symbol in ORDERS and kind(value) in {"NoneType", "bool"}:
        return
    alike = kind(stored) == kind(value)
    same = alike and stored == value
    expected = {"=": same, "!=": not same}.get(symbol, alike and symbol in ORDERS and ORDERS[symbol](stored, value))
    condition = parse_filter(f"k {symbol} {json.dumps(value)}")
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table voices (name text, metadata text)")
        connection.execute("insert into voices values ('x', ?)", [json.dumps(metadata)])
        (count,) = connection.execute(f"select count(*) from voices where {condition.sql}", condition.values).fetchone()
    connection.close()
    assert count == expected
