import pytest

from mrlspk.cli.index.voice_text import counted, metadata_text, ratio, shortlist_text, speech
from mrlspk.index.shortlist import ShortlistSpec


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0.0, "0.0 s"), (119.9, "119.9 s"), (120.0, "2.0 min"), (7199.0, "120.0 min"), (9000.0, "2.5 h")],
)
def test_speech_has_the_unit_of_its_length(seconds, shown):
    assert speech(seconds) == shown


@pytest.mark.parametrize(
    ("llr", "shown"),
    [
        (0.0, "1"),
        (8.882, "7,200"),
        (-8.882, "1/7,200"),
        (1.0, "2.7"),
        (-1.0, "1/2.7"),
        (2.398, "11"),
        (1000.0, "1.1e+26"),
    ],
)
def test_ratio_has_two_digits(llr, shown):
    assert ratio(llr) == shown


def test_metadata_shows_texts_plainly_and_other_values_as_json():
    assert metadata_text({"site": "north", "age": 34, "vip": True, "left": None}) == (
        "site=north, age=34, vip=true, left=null"
    )


def test_count_has_a_plural():
    assert [counted(number, "voice") for number in (0, 1, 1204)] == ["0 voices", "1 voice", "1,204 voices"]


@pytest.mark.parametrize(("type_", "shown"), [("bits", "64 sign bits"), ("int8", "64 values as int8")])
def test_shortlist_is_named_by_its_codes(type_, shown):
    assert shortlist_text(ShortlistSpec(type_, 64)) == shown
