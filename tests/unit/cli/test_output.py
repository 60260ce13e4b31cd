import json

import pytest

from mrlspk.cli import output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nof two lines", "plain\ttext\nof two lines"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("csi \x9b31m", r"csi \x9b31m"),
        ("lone \ud800", r"lone \ud800"),
        ("Ünïcode – fine", "Ünïcode – fine"),
    ],
)
def test_plain_escapes_control_characters_and_surrogates(text, shown):
    assert output.plain(text) == shown
    shown.encode()


def test_json_of_any_text_is_one_document_in_utf_8(capsys):
    value = "\x1b[31m \x9b \x7f \ud800 ü"
    output.show("test", {"value": value}, [], as_json=True)
    printed = capsys.readouterr().out
    assert json.loads(printed)["value"] == value
    assert not set("\x1b\x9b\x7f") & set(printed)
    printed.encode()


@pytest.mark.parametrize(("value", "shown"), [(-1e-17, "0.0000"), (0.12345, "0.1235"), (1.0, "1.0000")])
def test_cost_that_rounds_to_zero_has_no_sign(value, shown):
    assert output.cost(value) == shown


def test_facts_are_aligned():
    assert output.facts([("a", 1), ("long", "two")]) == "a     1\nlong  two"
