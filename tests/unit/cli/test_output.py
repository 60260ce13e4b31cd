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


def test_own_rate_fills_every_column_and_absent_widths_are_dashes():
    table = output.rate_table(6, 0.1, {"own, truncated": {4: 0.25}, "this model": {4: 0.2, 8: 0.125}}, dims=(4, 8))
    assert [line.split()[-2:] for line in [text for text, _ in table.lines(80)]] == [
        ["4", "8"],
        ["10.00", "10.00"],
        ["25.00", "–"],
        ["20.00", "12.50"],
    ]


def test_text_on_a_terminal_wraps_at_spaces(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    output.note("warning: /a/long/path/to/some/recording.wav has clipped samples")
    assert capsys.readouterr().err.splitlines() == [
        "warning:",
        "/a/long/path/to/some/recording.wav",
        "has clipped samples",
    ]


def test_text_in_a_pipe_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    output.show("test", {}, ["word " * 100 + "end"], as_json=False)
    assert capsys.readouterr().out == "word " * 100 + "end\n"
